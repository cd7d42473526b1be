// बड़े पैनल में क्या लिखा आता है: what the big panel says, and the screen reader with it.
// @ts-check

import { clock, fineClock, score } from "../units.js";
import { length, seconds } from "./units.js";

export const verdict = {
  letter: { bonafide: "इ", spoof: "म", uncertain: "?", no_speech: "–", waiting: "" },
  name: { bonafide: "आवाज़ इंसान की लगती है", spoof: "आवाज़ मशीन की बनाई लगती है", uncertain: "पक्का नहीं कह सकते", no_speech: "बोलने की आवाज़ नहीं मिली", waiting: "सुन रहे हैं…" },
  panel: {
    idle: { title: "हम तैयार हैं", basis: "सुनना शुरू करें, या कोई फ़ाइल जाँचें। करीब दो सेकंड की बातचीत के बाद पहला जवाब मिलेगा।" },
    asking: { title: "क्या यह पेज सुन सकता है?", basis: "आपका ब्राउज़र माइक की अनुमति माँग रहा है: “अनुमति दें” चुनें।" },
    connecting: { title: "जुड़ रहे हैं…", basis: "माइक चालू है; सर्वर का जवाब आने तक जो सुना जाएगा, वह सँभालकर रखा जाएगा।" },
    paused: { title: "रुका हुआ है", basis: "जब तक आप आगे न सुनें, कुछ नहीं सुना जाता।" },
    finishing: { title: "पूरा कर रहे हैं…", basis: "आखिरी कुछ सेकंड जाँचे जा रहे हैं।" },
    uploading: { title: "फ़ाइल भेजी जा रही है…", basis: "" },
    checking: { title: "जाँच हो रही है…", basis: "फ़ाइल पहुँच गई है और सुनी जा रही है।" },
    failed: { title: "कोई नतीजा नहीं", basis: "" },
  },
  basis: {
    nothing: "अभी तक कुछ जाँचा नहीं गया है।",
    anew: "सर्वर दोबारा चालू हुआ और नए सिरे से जाँच रहा है; जो छूटा था, वह फिर भेजा जा रहा है।",
    noSpeech: "अब तक केवल खामोशी, शोर या संगीत है। नतीजे के लिए किसी का बोलना ज़रूरी है।",
    warming: (/** @type {number} */ ms) => `अब तक ${seconds(ms)} की बातचीत; जवाब के लिए कम से कम एक सेकंड चाहिए।`,
    provisional: (/** @type {number} */ ms) => `${seconds(ms)} की बातचीत पर, अभी कच्चा नतीजा: बदल सकता है।`,
    stable: (/** @type {number} */ ms) => `${seconds(ms)} की बातचीत पर, नतीजा टिका हुआ है।`,
    recent: (/** @type {number} */ ms, /** @type {boolean} */ steady) =>
      `कुल ${length(ms)} की बातचीत में से आखिरी कुछ सेकंड पर आधारित; ${steady ? "नतीजा टिका हुआ है" : "अभी कच्चा नतीजा"}।`,
    earlier: (/** @type {number} */ from, /** @type {number} */ to) => `इससे पहले, ${clock(from)} से ${clock(to)} तक, आवाज़ मशीन की लगी थी।`,
    quiet: (/** @type {number} */ ms) => `${Math.round(ms / 1000)} सेकंड से खामोशी है।`,
    final: (/** @type {number} */ speech, /** @type {number} */ total) => `${length(total)} के ऑडियो में ${length(speech)} की बातचीत।`,
    finalPart: (/** @type {number} */ from) => `यह नतीजा ${clock(from)} से आगे का है, क्योंकि सर्वर बीच में फिर से चालू हुआ।`,
    all: "पूरी आवाज़ मशीन की बनाई लगती है।",
    finalNoSpeech: (/** @type {number} */ total) => `${length(total)} का ऑडियो है, पर उसमें परखने लायक कोई आवाज़ नहीं।`,
    ranges: (/** @type {any[]} */ ranges) => (ranges.length === 1 ? "एक हिस्सा मशीन का बनाया लगता है:" : `${ranges.length} हिस्से मशीन के बनाए लगते हैं:`),
    yet: (/** @type {number} */ whole, /** @type {any[]} */ ranges) =>
      `पूरे का स्कोर ${score(whole)} है, पर ${ranges.length === 1 ? "एक हिस्सा मशीन का बनाया लगता है" : `${ranges.length} हिस्से मशीन के बनाए लगते हैं`}:`,
    more: (/** @type {number} */ n) => `और ${n} हिस्से`,
    range: (/** @type {any} */ r, /** @type {boolean} */ many) =>
      `${fineClock(r.start_ms)} से ${fineClock(r.end_ms)} तक${many ? `, चैनल ${r.channel + 1}` : ""} (स्कोर ${score(r.score)})`,
  },
  lastVerdict: (/** @type {string} */ name, /** @type {number} */ ms) => `पिछला नतीजा: ${name}, ${seconds(ms)} की बातचीत पर।`,
  announce: (/** @type {string} */ name, /** @type {number} */ ms) => `${name}, ${seconds(ms)} की बातचीत के बाद।`,
  announceFinal: (/** @type {string} */ name, /** @type {number} */ ms) => `अंतिम नतीजा: ${name}, ${seconds(ms)} की बातचीत पर।`,
};
