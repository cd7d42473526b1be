// The chart and the level meter.
// @ts-check

import { clock, fineClock, tenths, whole } from "../units.js";
import { seconds } from "./units.js";

export const chart = {
  meter: "Input level",
  level: (/** @type {number | null} */ dbfs) => (dbfs === null ? "–" : `${whole(dbfs)} dB`),
  plot: {
    machine: "machine",
    human: "human",
    band: "uncertain",
    gap: "not heard",
    empty: "The score over time appears here.",
  },
  chart: {
    heading: "Sound and verdict over time",
    tools: "What the picture shows",
    /** short names beside the tracks: at most 9 letters */
    sound: "sound",
    speech: "speech",
    verdict: "verdict",
    channel: (/** @type {number} */ n) => `ch. ${n}`,
    khz: (/** @type {number} */ khz) => `${khz} kHz`,
    fine: (/** @type {number} */ ms) => `${(ms / 1000).toFixed(2)} s`,
    soundEmpty: "The sound itself appears here.",
    soundNone: "This browser cannot draw this file’s sound.",
    soundLong: "The file is too long for its sound to be drawn.",
    soundComing: "The sound is being drawn…",

    closer: "Closer",
    wider: "More time",
    fit: "All",
    follow: "Live",
    closerTitle: "Closer (+)",
    widerTitle: "More time (−)",
    fitTitle: "All of it (0)",
    followTitle: "Follow the newest sound (L)",

    label: "Sound, score and verdict over time",
    keys: "Arrow keys move the cursor, page keys by a screen, Home and End to the ends. Plus and minus zoom, Shift with the arrow keys moves the picture, 0 shows all, L follows the newest sound. Enter plays from the cursor.",
    nowhere: "No moment chosen",
    hint: "Point at the picture for the figures of a moment. Drag to move, Ctrl and wheel or pinch to zoom, click to hear.",
    hintTouch: "Tap the picture for the figures of a moment and to hear it. Drag sideways to move, pinch to zoom.",
    head: { time: "Time", level: "Peak", verdict: "Verdict", score: "Score", llr: "LLR", speech: "Speech", window: "Window", quality: "Quality", windows: "Windows" },
    clipped: (/** @type {number} */ dbfs) => `${whole(dbfs)} dB, clipped`,
    level: (/** @type {number} */ dbfs) => (dbfs <= -60 ? "< −60 dB" : `${whole(dbfs)} dB`),
    llr: (/** @type {number} */ llr) => `${llr < 0 ? "−" : "+"}${Math.abs(llr).toFixed(2)}`,
    part: (/** @type {number} */ ms, /** @type {number} */ of) => `${tenths(ms)} of ${seconds(of)}`,
    window: (/** @type {number} */ from, /** @type {number} */ to) => `${fineClock(from)}–${fineClock(to)}`,
    ofChannel: (/** @type {string} */ verdict, /** @type {number} */ channel) => `${verdict}, channel ${channel}`,
    quality: (/** @type {number} */ dbfs, /** @type {number | null} */ hz, /** @type {number} */ clipping) =>
      [`${whole(dbfs)} dB`, ...(hz === null ? [] : [`${(hz / 1000).toFixed(1)} kHz`]), ...(clipping > 0 ? [`${(clipping * 100).toFixed(clipping < 0.01 ? 1 : 0)} % clipped`] : [])].join(" · "),
    /** @type {Record<string, string>} */
    mark: { alert: "alarm raised", cleared: "alarm over", dropped: "not sent in time", restarted: "server began anew", paused: "pause" },

    table: "The same as a table",
    tableName: "Table of scored windows",
    caption: (/** @type {number} */ rows, /** @type {number} */ from, /** @type {number} */ to) =>
      `${rows === 1 ? "1 row" : `${rows} rows`}, newest first, from ${clock(from)} to ${clock(to)}. Old windows are joined; the worst verdict of them stands.`,

    llrFact: "LLR",
    llrHint: "+ machine · − human",
    shading: "Grey band: where the score decides nothing. Orange: stretches that sound machine-made.",
  },
};
