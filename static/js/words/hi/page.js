// पेज का ढाँचा: the frame of the page: header, buttons, facts, footer, and how numbers are written.
// @ts-check

import { clock, score } from "../units.js";
import { lag, length } from "./units.js";

export const page = {
  language: "hi",
  languageName: "हिन्दी",
  languageLabel: "भाषा",
  title: "Voxproof – क्या यह आवाज़ असली है?",
  tagline: "यह आवाज़ इंसान की है या मशीन की?",
  skip: "सीधे नतीजे पर जाएँ",
  button: { start: "सुनना शुरू करें", stop: "सुनना बंद करें", cancel: "रद्द करें", file: "फ़ाइल जाँचें", retry: "फिर कोशिश करें" },
  privacy: "आवाज़ केवल इसी सर्वर पर जाती है, वहीं जाँची जाती है और रखी नहीं जाती।",
  docs: "प्रोग्रामों के लिए: API",
  source: { none: "माइक बंद है", named: (/** @type {string} */ label, /** @type {number} */ hz) => `${label} · ${(hz / 1000).toFixed(1)} kHz` },
  fact: { time: "अवधि", speech: "बातचीत", score: "स्कोर", first: "पहला जवाब", lag: "देरी", windows: "हिस्से" },
  factHint: { score: "0 इंसान · 1 मशीन", first: "बोलना शुरू होने के बाद", lag: "आवाज़ से नतीजे तक", speech: "इसमें सुनी गई", time: "कुल ऑडियो", windows: "जाँचे गए" },
  length,
  clock,
  score,
  lag,
  none: "–",
  model: {
    heading: "पहचानने वाला मॉडल",
    line: (/** @type {any} */ m) => `${m.name} ${m.version}`,
    window: (/** @type {any} */ m) => `${m.window_seconds} सेकंड का ऑडियो परखता है, हर ${m.hop_seconds} सेकंड पर`,
    sha: "sha256",
  },
};
