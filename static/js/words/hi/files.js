// फ़ाइलें, सुनना, इस बार की सूची: files, playback, the list of this visit.
// @ts-check

import { clock, fineClock, score, size, tenths } from "../units.js";
import { length, minutes, seconds } from "./units.js";

/** @param {number} n */
const files_ = (n) => (n === 1 ? "1 फ़ाइल" : `${n} फ़ाइलें`);

export const files = {
  drop: "जाँचने के लिए ऑडियो फ़ाइलें यहाँ छोड़ें",
  file: {
    chosen: (/** @type {string} */ name, /** @type {number} */ bytes) => `${name} · ${size(bytes)}`,
    progress: (/** @type {number} */ part) => `${Math.round(part * 100)} % भेजा गया`,
  },

  wait: {
    title: "अपनी बारी के इंतज़ार में",
    first: "अब इसी की बारी है।",
    turn: (/** @type {number} */ n) => (n === 1 ? "इससे पहले एक फ़ाइल है।" : `इससे पहले ${n} फ़ाइलें हैं।`),
    behind: "रिकॉर्डिंग का कनेक्शन सँभलते ही यह भेजी जाएगी।",
    full: (/** @type {number} */ s) => `सर्वर अभी भरा हुआ है। ${s > 0 ? `${away(s)} में ` : ""}अपने आप आगे बढ़ेगा।`,
    limited: (/** @type {number} */ s) => `सर्वर एक मिनट में गिनी-चुनी जाँचें ही करता है। ${s > 0 ? `${away(s)} में ` : ""}अपने आप आगे बढ़ेगा।`,
    quota: (/** @type {number} */ s) => `जाँच की तय सीमा पूरी हो गई है। ${s > 0 ? `${away(s)} में ` : ""}अपने आप आगे बढ़ेगा।`,
    unready: (/** @type {number} */ s) => `सर्वर अभी तैयार नहीं है। ${s > 0 ? `${away(s)} में` : "अभी"} फिर कोशिश होगी।`,
    unreachable: (/** @type {number} */ s) => `सर्वर जवाब नहीं दे रहा। ${s > 0 ? `${away(s)} में` : "अभी"} फिर कोशिश होगी।`,
    needsKey: "इस सर्वर के लिए कुंजी चाहिए। कुंजी वाले खाने में कुंजी डालते ही काम आगे बढ़ेगा।",
    wrongKey: "सर्वर इस कुंजी को नहीं जानता। कुंजी वाले खाने में दूसरी डालें, फिर यह आगे बढ़ेगा।",
    keyEnded: "कुंजी की अवधि खत्म हो गई। कुंजी वाले खाने में दूसरी डालें, फिर यह आगे बढ़ेगा।",
    keyScope: "यह कुंजी फ़ाइलें नहीं जाँच सकती। कुंजी वाले खाने में दूसरी डालें, फिर यह आगे बढ़ेगा।",
  },

  visit: {
    heading: "इस बार की जाँचें",
    list: "जो जाँचा गया, नया सबसे ऊपर",
    empty: "अभी कुछ नहीं। ऑडियो फ़ाइलें इस पेज पर कहीं भी छोड़ें, पेस्ट करें, या एक साथ कई चुनें। रिकॉर्डिंग भी यहीं दिखेगी।",
    add: "फ़ाइलें जोड़ें",
    cancelAll: "इंतज़ार वाली रद्द करें",
    retryAll: (/** @type {number} */ n) => `${n} की फिर कोशिश करें`,
    clear: "सूची खाली करें",
    undo: "वापस लाएँ",
    private: "केवल वही भेजा जाता है जिसकी जाँच होती है, और केवल इसी सर्वर को। यह सूची इसी टैब में रहती है: टैब बंद करते ही मिट जाती है।",
    removed: (/** @type {string} */ name) => `${name} को सूची से हटा दिया गया।`,
    cleared: (/** @type {number} */ n) => `सूची से ${n} ${n === 1 ? "जाँच हटाई गई" : "जाँचें हटाई गईं"}।`,
    working: (/** @type {number} */ done, /** @type {number} */ all) => `${files_(all)} में से ${done} की जाँच पूरी`,
    sum: (/** @type {Record<string, number>} */ { spoof, uncertain, bonafide, no_speech, failed }) =>
      [
        spoof && `${spoof} मशीन की`,
        uncertain && `${uncertain} पक्की नहीं`,
        bonafide && `${bonafide} इंसान की`,
        no_speech && `${no_speech} बिना बातचीत के`,
        failed && `${failed} की जाँच नहीं हुई`,
      ]
        .filter(Boolean)
        .join(" · "),
    leftOut: (/** @type {number} */ n) => `फ़ोल्डर की ${files_(n)} ऑडियो नहीं ${n === 1 ? "है, इसलिए छोड़ दी गई" : "हैं, इसलिए छोड़ दी गईं"}।`,
    cut: "फ़ोल्डर बहुत बड़ा है: उसका एक हिस्सा ही देखा गया।",
    over: (/** @type {number} */ n, /** @type {number} */ most) => `एक बार में ${most} फ़ाइलें ही इंतज़ार कर सकती हैं; ${files_(n)} नहीं ली ${n === 1 ? "गई" : "गईं"}। बाद में जोड़ें।`,
    nothing: "जो छोड़ा गया, उसमें कोई ऑडियो नहीं था।",
    recording: "रिकॉर्डिंग",
    now: "अभी सुन रहे हैं",
    at: (/** @type {string} */ time, /** @type {number | null} */ length_ms, /** @type {string} */ what) =>
      [time, length_ms === null ? "" : clock(length_ms), what].filter(Boolean).join(" · "),
    size,
    sending: (/** @type {number} */ part) => `भेजी जा रही है, ${Math.round(part * 100)} %`,
    checking: "जाँच हो रही है…",
    cancel: (/** @type {string} */ name) => `${name} को रद्द करें`,
    remove: (/** @type {string} */ name) => `${name} को सूची से हटाएँ`,
    retry: "फिर कोशिश करें",
    point: (/** @type {string} */ name) => ({ fast: "तेज़", balanced: "संतुलित", strict: "सख्त" })[name] ?? name,
    judgedAs: (/** @type {string} */ name) => `“${name}” सेटिंग से परखा गया।`,
    anew: (/** @type {string} */ name) => `“${name}” से फिर जाँचें`,
    live: (/** @type {string} */ name, /** @type {number} */ ms) => `सुनना जारी है, ${clock(ms)}। ${name}`,
    back: "उस पर लौटें",
  },

  player: {
    heading: "चलाकर सुनें",
    play: "चलाएँ",
    pause: "रोकें",
    position: "स्थान",
    at: (/** @type {number} */ ms, /** @type {number} */ total) => `${fineClock(ms)} / ${fineClock(total)}`,
    spoken: (/** @type {number} */ ms, /** @type {number} */ total) => `${length(total)} में से ${seconds(ms)}`,
    listening: "सुनते समय नहीं चला सकते: माइक इसे भी सुन लेगा।",
    unplayable: "यह ब्राउज़र इस तरह की फ़ाइल नहीं चला सकता। जाँच इस पर निर्भर नहीं है।",
    reading: "आवाज़ का चित्र बन रहा है…",
    long: (/** @type {number} */ ms) => `आवाज़ का चित्र नहीं है: फ़ाइल ${minutes(ms / 1000)} से लंबी है। नतीजा पूरी फ़ाइल का है।`,
    unreadable: "यह ब्राउज़र इस तरह की फ़ाइल नहीं पढ़ सकता, इसलिए आवाज़ का चित्र नहीं है। जाँच इस पर निर्भर नहीं है।",
    neither: "यह ब्राउज़र इस तरह की फ़ाइल को न चला सकता है, न उसका चित्र बना सकता है। जाँच इस पर निर्भर नहीं है।",
    noRecording: "इस रिकॉर्डिंग की आवाज़ रखी नहीं गई है।",
    key: "चार्ट पर फ़ोकस हो तो स्पेस से चलाएँ या रोकें; चार्ट में क्लिक करने से वहीं से चलता है।",
    stretches: (/** @type {number} */ n) => (n === 1 ? "एक हिस्सा मशीन का बनाया लगता है" : `${n} हिस्से मशीन के बनाए लगते हैं`),
    none: "कोई हिस्सा इतना लंबा नहीं कि उसे मशीन का बनाया कहें।",
    more: (/** @type {number} */ n) => `और ${n} हिस्से: सब निर्यात में हैं`,
    range: (/** @type {any} */ r) => `${fineClock(r.start_ms)} – ${fineClock(r.end_ms)}`,
    detail: (/** @type {any} */ r, /** @type {boolean} */ many) =>
      [`${tenths(r.end_ms - r.start_ms)} सेकंड`, many ? `चैनल ${r.channel + 1}` : "", `स्कोर ${score(r.score)}`].filter(Boolean).join(" · "),
    goTo: (/** @type {string} */ range, /** @type {string} */ detail) => `${range} दिखाएँ और चलाएँ, ${detail}`,
  },
};

/** 45 सेकंड, 12 मिनट, 3 घंटे @param {number} s */
function away(s) {
  return s < 120 ? `${s} सेकंड` : s < 7200 ? `${Math.ceil(s / 60)} मिनट` : `${Math.ceil(s / 3600)} घंटे`;
}
