// चार्ट और आवाज़ का स्तर: the chart and the level meter.
// @ts-check

import { clock, fineClock, tenths, whole } from "../units.js";
import { seconds } from "./units.js";

export const chart = {
  meter: "माइक की आवाज़ का स्तर",
  level: (/** @type {number | null} */ dbfs) => (dbfs === null ? "–" : `${whole(dbfs)} dB`),
  plot: {
    machine: "मशीन",
    human: "इंसान",
    band: "अनिश्चित",
    gap: "नहीं सुना",
    empty: "समय के साथ स्कोर यहाँ दिखेगा।",
  },
  chart: {
    heading: "समय के साथ आवाज़ और नतीजा",
    tools: "चित्र में क्या दिखे",
    sound: "ध्वनि",
    speech: "बातचीत",
    verdict: "नतीजा",
    channel: (/** @type {number} */ n) => `चैनल ${n}`,
    khz: (/** @type {number} */ khz) => `${khz} kHz`,
    fine: (/** @type {number} */ ms) => `${(ms / 1000).toFixed(2)} से.`,
    soundEmpty: "ध्वनि का चित्र यहाँ दिखेगा।",
    soundNone: "यह ब्राउज़र इस फ़ाइल की ध्वनि का चित्र नहीं बना सकता।",
    soundLong: "फ़ाइल इतनी लंबी है कि उसकी ध्वनि का चित्र नहीं बन सकता।",
    soundComing: "ध्वनि का चित्र बन रहा है…",

    closer: "पास से",
    wider: "ज़्यादा समय",
    fit: "पूरा",
    follow: "लाइव",
    closerTitle: "पास से देखें (+)",
    widerTitle: "ज़्यादा समय देखें (−)",
    fitTitle: "पूरा देखें (0)",
    followTitle: "सबसे नई आवाज़ के साथ चलें (L)",

    label: "समय के साथ ध्वनि, स्कोर और नतीजा",
    keys: "तीर की कुंजियाँ कर्सर चलाती हैं, पेज की कुंजियाँ एक स्क्रीन जितना, Home और End सिरों तक। प्लस और माइनस से ज़ूम, Shift के साथ तीर से चित्र खिसकता है, 0 से पूरा दिखता है, L से सबसे नई आवाज़। Enter से कर्सर की जगह से सुनें।",
    nowhere: "कोई क्षण नहीं चुना गया",
    hint: "किसी क्षण के आँकड़ों के लिए चित्र पर जाएँ। खिसकाने के लिए खींचें, ज़ूम के लिए Ctrl और व्हील या दो उँगलियाँ, सुनने के लिए क्लिक करें।",
    hintTouch: "किसी क्षण के आँकड़े देखने और उसे सुनने के लिए चित्र को छुएँ। खिसकाने के लिए बगल में खींचें, ज़ूम के लिए दो उँगलियाँ।",
    head: { time: "समय", level: "शिखर", verdict: "नतीजा", score: "स्कोर", llr: "LLR", speech: "बातचीत", window: "हिस्सा", quality: "गुणवत्ता", windows: "कितने हिस्से" },
    clipped: (/** @type {number} */ dbfs) => `${whole(dbfs)} dB, कटी हुई`,
    level: (/** @type {number} */ dbfs) => (dbfs <= -60 ? "< −60 dB" : `${whole(dbfs)} dB`),
    llr: (/** @type {number} */ llr) => `${llr < 0 ? "−" : "+"}${Math.abs(llr).toFixed(2)}`,
    part: (/** @type {number} */ ms, /** @type {number} */ of) => `${seconds(of)} में ${tenths(ms)}`,
    window: (/** @type {number} */ from, /** @type {number} */ to) => `${fineClock(from)}–${fineClock(to)}`,
    ofChannel: (/** @type {string} */ verdict, /** @type {number} */ channel) => `${verdict}, चैनल ${channel}`,
    quality: (/** @type {number} */ dbfs, /** @type {number | null} */ hz, /** @type {number} */ clipping) =>
      [`${whole(dbfs)} dB`, ...(hz === null ? [] : [`${(hz / 1000).toFixed(1)} kHz`]), ...(clipping > 0 ? [`${(clipping * 100).toFixed(clipping < 0.01 ? 1 : 0)} % कटी हुई`] : [])].join(" · "),
    /** @type {Record<string, string>} */
    mark: { alert: "चेतावनी शुरू", cleared: "चेतावनी खत्म", dropped: "समय पर नहीं भेजी गई", restarted: "सर्वर नए सिरे से शुरू हुआ", paused: "विराम" },

    table: "यही तालिका के रूप में",
    tableName: "जाँचे गए हिस्सों की तालिका",
    caption: (/** @type {number} */ rows, /** @type {number} */ from, /** @type {number} */ to) =>
      `${clock(from)} से ${clock(to)} तक, ${rows} पंक्तियाँ, सबसे नई पहले। पुराने हिस्से जोड़ दिए जाते हैं; उनमें सबसे बुरा नतीजा दिखता है।`,

    llrFact: "LLR",
    llrHint: "+ मशीन · − इंसान",
    shading: "धूसर पट्टी: जहाँ स्कोर कुछ तय नहीं करता। नारंगी: जो हिस्से मशीन के बनाए लगते हैं।",
  },
};
