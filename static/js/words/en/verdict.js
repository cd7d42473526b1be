// What the big panel says, and the screen reader with it.
// @ts-check

import { clock, fineClock, score } from "../units.js";
import { length, seconds } from "./units.js";

export const verdict = {
  letter: { bonafide: "H", spoof: "M", uncertain: "?", no_speech: "–", waiting: "" },
  name: { bonafide: "Sounds human", spoof: "Sounds machine-made", uncertain: "Uncertain", no_speech: "No speech", waiting: "Listening…" },
  panel: {
    idle: { title: "Ready when you are", basis: "Start listening, or check a file. The first answer comes after about two seconds of speech." },
    asking: { title: "May this page listen?", basis: "Your browser asks for the microphone now: choose “Allow”." },
    connecting: { title: "Connecting…", basis: "The microphone is on; what it hears is kept until the server answers." },
    paused: { title: "Paused", basis: "Nothing is heard until you go on." },
    finishing: { title: "Finishing…", basis: "The last seconds are being checked." },
    uploading: { title: "Sending the file…", basis: "" },
    checking: { title: "Checking…", basis: "The file has arrived and is being listened to." },
    failed: { title: "No verdict", basis: "" },
  },
  basis: {
    nothing: "Nothing has been scored yet.",
    anew: "The server was restarted and begins anew; what it missed is sent again.",
    noSpeech: "Only silence, noise or music so far. A verdict needs a voice.",
    warming: (/** @type {number} */ ms) => `${seconds(ms)} of speech so far; an answer needs at least one second.`,
    provisional: (/** @type {number} */ ms) => `${seconds(ms)} of speech, provisional: it may still change.`,
    stable: (/** @type {number} */ ms) => `${seconds(ms)} of speech, steady.`,
    recent: (/** @type {number} */ ms, /** @type {boolean} */ steady) =>
      `Judged from the latest seconds, of ${length(ms)} of speech in all; ${steady ? "steady" : "provisional"}.`,
    earlier: (/** @type {number} */ from, /** @type {number} */ to) => `Before, from ${clock(from)} to ${clock(to)}, it sounded machine-made.`,
    quiet: (/** @type {number} */ ms) => `Quiet for ${Math.round(ms / 1000)} s.`,
    final: (/** @type {number} */ speech, /** @type {number} */ total) => `${length(speech)} of speech in ${length(total)} of sound.`,
    finalPart: (/** @type {number} */ from) => `It covers the recording from ${clock(from)} on, because the server was restarted.`,
    all: "All of it sounds machine-made.",
    finalNoSpeech: (/** @type {number} */ total) => `${length(total)} of sound, but no voice that could be judged.`,
    ranges: (/** @type {any[]} */ ranges) => (ranges.length === 1 ? "One stretch sounds machine-made:" : `${ranges.length} stretches sound machine-made:`),
    yet: (/** @type {number} */ whole, /** @type {any[]} */ ranges) =>
      `As a whole it scores ${score(whole)}, but ${ranges.length === 1 ? "one stretch sounds" : `${ranges.length} stretches sound`} machine-made:`,
    more: (/** @type {number} */ n) => `and ${n} more`,
    range: (/** @type {any} */ r, /** @type {boolean} */ many) =>
      `${fineClock(r.start_ms)} to ${fineClock(r.end_ms)}${many ? `, channel ${r.channel + 1}` : ""} (score ${score(r.score)})`,
  },
  lastVerdict: (/** @type {string} */ name, /** @type {number} */ ms) => `Last verdict: ${name.toLowerCase()}, from ${seconds(ms)} of speech.`,
  announce: (/** @type {string} */ name, /** @type {number} */ ms) => `${name}, after ${seconds(ms)} of speech.`,
  announceFinal: (/** @type {string} */ name, /** @type {number} */ ms) => `Final verdict: ${name}, from ${seconds(ms)} of speech.`,
};
