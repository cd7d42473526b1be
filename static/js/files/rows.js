// A check -> what its line in the visit's list says; and why a file waits. Pure. Used by list.js, elsewhere.js; `whyWaiting` also by the panel.
// @ts-check

import { headline } from "../found/verdict.js";

/**
 * @typedef {import("../check.js").Check} Check
 * @typedef {typeof import("../words/index.js").words} Words
 * @typedef {{tone: import("../found/verdict.js").Tone | "failed", letter: string, name: string, facts: string, says: string,
 *   progress: number | null | undefined, retry: boolean}} Row `progress`: null is "no telling", undefined is no bar
 */

/** A name for people: the file's, or what was listened to. @param {Check} check @param {Words} words */
export function nameOf({ file, source }, words) {
  return file?.name ?? (source === words.source.none ? words.visit.recording : source);
}

/** @param {Check} check @param {Words} words @returns {Row} */
export function rowOf(check, words) {
  const { phase, file, found, captured_ms, started_at, trouble, progress } = check;
  const { tone, letter, says } = standing(check, words);
  const length_ms = Math.max(captured_ms, found.received_ms);
  return {
    tone,
    letter,
    says,
    name: nameOf(check, words),
    facts: words.visit.at(timeOf(started_at), length_ms || null, file ? words.visit.size(file.size) : check.running ? words.visit.now : words.visit.recording),
    progress: phase === "uploading" ? progress : phase === "checking" ? null : undefined,
    retry: phase === "failed" && file !== null && trouble?.wait_ms !== undefined,
  };
}

/** @param {Check} check @param {Words} words @returns {Pick<Row, "tone" | "letter" | "says">} */
function standing(check, words) {
  const { phase, found, trouble, progress } = check;
  const busy = { tone: /** @type {const} */ ("waiting"), letter: "…" };
  switch (phase) {
    case "waiting":
      return { ...busy, says: check.ahead ? words.wait.turn(check.ahead) : whyWaiting(check, words) }; // the first of the line says what it waits for
    case "uploading":
      return { ...busy, says: words.visit.sending(progress) };
    case "checking":
      return { ...busy, says: words.visit.checking };
    case "failed":
      return { tone: "failed", letter: "!", says: /** @type {any} */ (words.trouble)[trouble?.key ?? "other"]?.title ?? words.trouble.other.title };
    case "asking":
    case "connecting":
      return { ...busy, says: words.panel[phase].title };
  }
  const { tone } = headline(found);
  return { tone, letter: tone === "waiting" ? "…" : words.letter[tone], says: words.name[tone] };
}

/** Why a file waits, and until when. @param {Check} check @param {Words} words */
export function whyWaiting({ trouble, ahead, wait_s }, words) {
  const entry = trouble && /** @type {any} */ (words.wait)[trouble.key];
  const why = typeof entry === "function" ? entry(Number.isFinite(wait_s) ? wait_s : 0) : entry;
  const turn = ahead ? words.wait.turn(ahead) : words.wait.first;
  return why ? (ahead ? `${turn} ${why}` : why) : turn;
}

/** Time of day in two digits each, everywhere the same. @param {Date} at */
export function timeOf(at) {
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
}

/**
 * How far the files of the list have come, recordings not counted; `tones` counts the verdicts of those that are done.
 * @param {Check[]} checks
 */
export function tally(checks) {
  const files = checks.filter(({ file }) => file);
  return {
    all: files.length,
    done: files.filter(({ running }) => !running).length,
    tones: counted(files.filter(({ running }) => !running).map(({ phase, found }) => (phase === "failed" ? "failed" : headline(found).tone))),
    waiting: files.filter(({ phase }) => phase === "waiting").length,
    failed: files.filter(({ phase, trouble }) => phase === "failed" && trouble?.wait_ms !== undefined),
    over: checks.filter(({ running }) => !running).length,
  };
}

/** @param {string[]} names @returns {Record<string, number>} */
function counted(names) {
  /** @type {Record<string, number>} */
  const out = {};
  for (const name of names) out[name] = (out[name] ?? 0) + 1;
  return out;
}
