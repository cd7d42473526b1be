// Files, playback, the list of this visit.
// @ts-check

import { clock, fineClock, score, size, tenths } from "../units.js";
import { length, minutes, seconds } from "./units.js";

/** @param {number} n */
const files_ = (n) => (n === 1 ? "1 file" : `${n} files`);

export const files = {
  drop: "Drop audio files to check them",
  file: {
    chosen: (/** @type {string} */ name, /** @type {number} */ bytes) => `${name} · ${size(bytes)}`,
    progress: (/** @type {number} */ part) => `${Math.round(part * 100)} % sent`,
  },

  /** What a file waits for; shown in the list, and in the panel when it is on show. */
  wait: {
    title: "Waiting its turn",
    first: "It is next.",
    turn: (/** @type {number} */ n) => (n === 1 ? "One file is before it." : `${n} files are before it.`),
    behind: "It is sent as soon as the recording’s connection has caught up.",
    full: (/** @type {number} */ s) => `The server is full. Goes on by itself${s > 0 ? ` in ${away(s)}` : ""}.`,
    limited: (/** @type {number} */ s) => `The server takes only so many checks a minute. Goes on by itself${s > 0 ? ` in ${away(s)}` : ""}.`,
    quota: (/** @type {number} */ s) => `The quota of checks is used up. Goes on by itself${s > 0 ? ` in ${away(s)}` : ""}.`,
    unready: (/** @type {number} */ s) => `The server is not ready. Tried again${s > 0 ? ` in ${away(s)}` : " now"}.`,
    unreachable: (/** @type {number} */ s) => `The server does not answer. Tried again${s > 0 ? ` in ${away(s)}` : " now"}.`,
    needsKey: "This server needs a key. Give one in the key field, and it goes on.",
    wrongKey: "The server does not know this key. Give another one in the key field, and it goes on.",
    keyEnded: "The key has ended. Give another one in the key field, and it goes on.",
    keyScope: "This key may not check files. Give another one in the key field, and it goes on.",
  },

  visit: {
    heading: "This visit",
    list: "What was checked, newest first",
    empty: "Nothing yet. Drop audio files anywhere on this page, paste them, or choose several. A recording appears here too.",
    add: "Add files",
    cancelAll: "Cancel waiting",
    retryAll: (/** @type {number} */ n) => `Try ${n} again`,
    clear: "Clear list",
    undo: "Undo",
    private: "Only what is checked is sent, and only to this server. The list lives in this tab: it is gone when you close it.",
    removed: (/** @type {string} */ name) => `${name} was taken off the list.`,
    cleared: (/** @type {number} */ n) => `${n === 1 ? "One entry was" : `${n} entries were`} taken off the list.`,
    working: (/** @type {number} */ done, /** @type {number} */ all) => `${done} of ${files_(all)} done`,
    sum: (/** @type {Record<string, number>} */ { spoof, uncertain, bonafide, no_speech, failed }) =>
      [
        spoof && `${spoof} machine-made`,
        uncertain && `${uncertain} uncertain`,
        bonafide && `${bonafide} human`,
        no_speech && `${no_speech} without speech`,
        failed && `${failed} not checked`,
      ]
        .filter(Boolean)
        .join(" · "),
    leftOut: (/** @type {number} */ n) => `${files_(n)} of the folder ${n === 1 ? "is" : "are"} no sound and ${n === 1 ? "was" : "were"} left out.`,
    cut: "The folder is too big: only a part of it was looked at.",
    over: (/** @type {number} */ n, /** @type {number} */ most) => `Up to ${most} files may wait; ${files_(n)} more did not come in. Add them later.`,
    nothing: "There was no sound in what was dropped.",
    recording: "Recording",
    now: "listening now",
    at: (/** @type {string} */ time, /** @type {number | null} */ length_ms, /** @type {string} */ what) =>
      [time, length_ms === null ? "" : clock(length_ms), what].filter(Boolean).join(" · "),
    size,
    sending: (/** @type {number} */ part) => `Sending, ${Math.round(part * 100)} %`,
    checking: "Checking…",
    cancel: (/** @type {string} */ name) => `Cancel ${name}`,
    remove: (/** @type {string} */ name) => `Take ${name} off the list`,
    retry: "Try again",
    point: (/** @type {string} */ name) => ({ fast: "fast", balanced: "balanced", strict: "strict" })[name] ?? name,
    judgedAs: (/** @type {string} */ name) => `Judged with the setting “${name}”.`,
    anew: (/** @type {string} */ name) => `Check again as “${name}”`,
    live: (/** @type {string} */ name, /** @type {number} */ ms) => `Still listening, ${clock(ms)}. ${name}`,
    back: "Back to it",
  },

  player: {
    heading: "Play it",
    play: "Play",
    pause: "Pause",
    position: "Position",
    at: (/** @type {number} */ ms, /** @type {number} */ total) => `${fineClock(ms)} / ${fineClock(total)}`,
    spoken: (/** @type {number} */ ms, /** @type {number} */ total) => `${seconds(ms)} of ${length(total)}`,
    listening: "Not while listening: the microphone would hear it.",
    unplayable: "This browser cannot play this kind of file. The check does not depend on it.",
    reading: "The picture of the sound is being drawn…",
    long: (/** @type {number} */ ms) => `There is no picture of the sound: the file is longer than ${minutes(ms / 1000)}. The verdict covers all of it.`,
    unreadable: "This browser cannot read this kind of file, so there is no picture of the sound. The check does not depend on it.",
    neither: "This browser can neither play nor draw this kind of file. The check does not depend on it.",
    noRecording: "Of this recording no sound is kept.",
    key: "Space plays and pauses while the chart has the focus; a click in the chart plays from there.",
    stretches: (/** @type {number} */ n) => (n === 1 ? "One stretch sounds machine-made" : `${n} stretches sound machine-made`),
    none: "No stretch lasts long enough to be called machine-made.",
    more: (/** @type {number} */ n) => `and ${n} more: all are in the export`,
    range: (/** @type {any} */ r) => `${fineClock(r.start_ms)} – ${fineClock(r.end_ms)}`,
    detail: (/** @type {any} */ r, /** @type {boolean} */ many) =>
      [`${tenths(r.end_ms - r.start_ms)} s`, many ? `channel ${r.channel + 1}` : "", `score ${score(r.score)}`].filter(Boolean).join(" · "),
    goTo: (/** @type {string} */ range, /** @type {string} */ detail) => `Show and play ${range}, ${detail}`,
  },
};

/** 45 s, 12 min, 3 h @param {number} s */
function away(s) {
  return s < 120 ? `${s} s` : s < 7200 ? `${Math.ceil(s / 60)} min` : `${Math.ceil(s / 3600)} h`;
}
