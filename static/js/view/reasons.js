// Why an answer is not surer than it is: facts found in the sound -> at most three plain sentences, each with what to do. Pure. Used by view.js and keep/.
//
// A reason is only given when the server's own measurements show it: segments carry level, clipping and bandwidth of each hop (detail "full"), and how
// much of it was speech; warnings carry codes. What cannot be measured is not said.
// @ts-check

import { headline } from "../found/verdict.js";

/**
 * @typedef {import("../check.js").Check} Check
 * @typedef {typeof import("../words/index.js").words} Words
 * @typedef {import("../found/history.js").Cell} Cell
 * @typedef {{key: string, text: string, todo: string}} Reason
 */

const MOST = 3;
const LITTLE_MS = 4000; // a whole window's speech; below it each second more still helps (the report's figures by duration)
const CLIPPED = 0.002; // share of a hop's samples at full scale at which the server warns
const FAINT_DBFS = -45; // quieter than anything the bundled detectors were trained with
const NARROW_HZ = 4300; // telephone speech: the server's own border
const DULL_HZ = 7000; // good recordings of the training data reach 7.5 kHz in their brightest hop, most of them 8; strong MP3 and Opus stay at 5 to 7
const HOPS = 5; // so many measured hops before a property of the recording is told from chance
const NOISY_DB = 12; // speech over what is heard between the words
const MIXED_SHARE = 0.2; // of the scored windows, on each side

/**
 * What weakens the answer, the most useful first.
 * @param {Pick<Check, "kind" | "found" | "running" | "profile">} check
 * @param {Words} words
 * @param {Record<string, [number, number]>} points the scores between which nothing is decided, by operating point
 * @returns {Reason[]}
 */
export function reasonsOf(check, words, points) {
  const { found } = check;
  const head = headline(found);
  if (!found.windows || (head.state === "warming" && !head.speech_ms)) return silence(check, words);
  const cells = laneOf(found)?.cells ?? [];
  const heard = heardOf(cells, laneOf(found)?.activity.hops ?? []);
  const notices = new Set(found.notices.map((notice) => notice.code ?? notice.kind));
  const how = check.running && check.kind === "live" ? "live" : "file";
  const why = words.why;
  /** @type {Reason[]} */
  const reasons = [];
  const add = (/** @type {string} */ key, /** @type {string} */ text) => {
    const todo = /** @type {any} */ (why)[key].todo;
    reasons.push({ key, text, todo: typeof todo === "string" ? todo : todo[how] });
  };
  if (head.tone === "no_speech") return silence(check, words);
  if (head.speech_ms < LITTLE_MS) add("short", why.short.text(head.speech_ms));
  if (heard.clipped) add("clipped", why.clipped.text(heard.clipped, heard.measured));
  if (heard.level !== null && heard.level < FAINT_DBFS) add("faint", why.faint.text(heard.level));
  if (heard.over !== null && heard.over < NOISY_DB) add("noisy", why.noisy.text(heard.over));
  if (notices.has("narrowband") || (heard.bandwidth !== null && heard.bandwidth < NARROW_HZ)) add("narrow", why.narrow.text);
  else if (heard.bandwidth !== null && heard.bandwidth < DULL_HZ) add("dull", why.dull.text(heard.bandwidth));
  if (notices.has("altered")) add("altered", why.altered.text);
  const { spoof, bonafide, scored } = countOf(cells);
  if (Math.min(spoof, bonafide) >= Math.max(2, MIXED_SHARE * scored)) add("mixed", why.mixed.text(spoof, bonafide, scored));
  const point = found.config?.profile ?? check.profile;
  const band = points[point];
  if (head.tone === "uncertain" && head.score !== null && band && head.score > band[0] && head.score < band[1]) {
    // It is the plain truth about any uncertain answer, so it always has a place.
    reasons.splice(MOST - 1);
    add("between", why.between.text(head.score, band, words.point.name[/** @type {"fast"} */ (point)] ?? point));
  }
  return reasons.slice(0, MOST);
}

/** @param {Pick<Check, "kind" | "found" | "running">} check @param {Words} words @returns {Reason[]} */
function silence({ kind, found, running }, words) {
  if (!found.windows) return [];
  const levels = measured(laneOf(found)?.cells ?? [], "level_dbfs");
  const loudest = Math.max(...levels);
  const { why } = words;
  const how = running && kind === "live" ? "live" : "file";
  if (levels.length && loudest < FAINT_DBFS) return [{ key: "silent", text: why.silent.text(loudest), todo: why.silent.todo[how] }];
  return [{ key: "voiceless", text: why.voiceless.text, todo: why.voiceless.todo[how] }];
}

/** The channel that speaks for all. @param {import("../found/verdict.js").Findings} found */
function laneOf({ lanes, done, standing }) {
  if (!done) return lanes[standing?.channel ?? 0] ?? lanes[0];
  const llr = (/** @type {any} */ channel) => channel?.llr ?? -Infinity;
  const top = done.channels.reduce((/** @type {number} */ best, /** @type {any} */ channel, /** @type {number} */ at) => (llr(channel) > llr(done.channels[best]) ? at : best), 0);
  return lanes[top] ?? lanes[0];
}

/**
 * What the hops say of the recording. A cell's measurements are those of its newest hop; of merged cells, the greatest.
 * @param {Cell[]} cells
 * @param {import("../found/activity.js").Hop[]} hops
 */
function heardOf(cells, hops) {
  const speech = new Map(hops.map((hop) => [hop.to_ms, hop.speech_ms / (hop.to_ms - hop.from_ms)]));
  /** @type {number[]} */ const voice = [];
  /** @type {number[]} */ const between = [];
  /** @type {number[]} */ const bandwidths = [];
  let clipped = 0;
  let count = 0;
  for (const { window_ms, level_dbfs, clipping, bandwidth_hz, windows } of cells) {
    if (level_dbfs === undefined) continue;
    count += windows;
    if ((clipping ?? 0) > CLIPPED) clipped += windows;
    const share = windows === 1 ? speech.get(window_ms?.[1] ?? -1) : undefined;
    if (share !== undefined && share > 0.8) voice.push(level_dbfs);
    else if (share !== undefined && share < 0.02) between.push(level_dbfs);
    if (bandwidth_hz != null) bandwidths.push(bandwidth_hz);
  }
  return {
    measured: count,
    clipped,
    level: voice.length >= 2 ? middle(voice) : null,
    over: voice.length >= 3 && between.length >= 3 ? middle(voice) - middle(between) : null,
    bandwidth: bandwidths.length >= HOPS ? Math.max(...bandwidths) : null,
  };
}

/** Windows that say something, by what they say. @param {Cell[]} cells */
function countOf(cells) {
  const of = (/** @type {string} */ name) => cells.reduce((sum, { verdict, windows, gap }) => sum + (verdict === name && !gap ? windows : 0), 0);
  const [spoof, bonafide, uncertain] = [of("spoof"), of("bonafide"), of("uncertain")];
  return { spoof, bonafide, scored: spoof + bonafide + uncertain };
}

/** @param {Cell[]} cells @param {"level_dbfs"} name @returns {number[]} */
function measured(cells, name) {
  return cells.flatMap((cell) => cell[name] ?? []);
}

/** @param {number[]} numbers */
function middle(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
