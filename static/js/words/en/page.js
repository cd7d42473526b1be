// The frame of the page: header, buttons, facts, footer, and how numbers are written.
// @ts-check

import { clock, score } from "../units.js";
import { lag, length } from "./units.js";

export const page = {
  language: "en",
  languageName: "English",
  languageLabel: "Language",
  title: "Voxproof – is this voice real?",
  tagline: "Is this voice a person’s or a machine’s?",
  skip: "Skip to the verdict",
  button: { start: "Start listening", stop: "Stop", cancel: "Cancel", file: "Check a file", retry: "Try again" },
  privacy: "Sound goes only to this server, is checked there and is not kept.",
  docs: "For programs: the API",
  source: { none: "Microphone off", named: (/** @type {string} */ label, /** @type {number} */ hz) => `${label} · ${(hz / 1000).toFixed(1)} kHz` },
  fact: { time: "Length", speech: "Speech", score: "Score", first: "First answer", lag: "Lag", windows: "Windows" },
  factHint: { score: "0 human · 1 machine", first: "after speech began", lag: "from sound to verdict", speech: "heard in it", time: "of sound", windows: "scored" },
  length,
  clock,
  score,
  lag,
  none: "–",
  model: {
    heading: "Detector",
    line: (/** @type {any} */ m) => `${m.name} ${m.version}`,
    window: (/** @type {any} */ m) => `judges ${m.window_seconds} s of sound every ${m.hop_seconds} s`,
    sha: "sha256",
  },
};
