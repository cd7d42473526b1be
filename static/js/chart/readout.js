// What is known of one moment, as facts and then as words: for the line under the chart, for screen readers, and for the table of windows. Pure.
// Used by chart.js and table.js.
// @ts-check

import { fineClock } from "../found/time.js";
import { stretch } from "./tracks.js";

/**
 * @typedef {import("../found/history.js").Cell} Cell
 * @typedef {import("../words/index.js").Words} Words
 * @typedef {{at_ms: number, level_dbfs: number | null, clipped: boolean, cell: Cell | null, channel: number, channels: number,
 *   speech: {speech_ms: number, of_ms: number} | null, marks: string[]}} Look
 */

/** The parts of the line, in their order on the page. */
export const PARTS = /** @type {const} */ (["time", "level", "verdict", "score", "llr", "speech", "window", "quality"]);

const NEAR_PX = 6; // a mark this near to the pointer is meant

/**
 * @param {{found: import("../found/verdict.js").Findings | null, sound: import("./sound.js").Sound | null}} scene
 * @param {number} at_ms
 * @param {number} px_ms how much time one pixel is
 * @returns {Look}
 */
export function lookAt({ found, sound }, at_ms, px_ms) {
  const lanes = found?.lanes ?? [];
  // Of several channels the one that speaks for all here: the one with the highest score.
  const cells = lanes.map((lane) => stretch(lane.cells, at_ms, at_ms + 0.001)[0] ?? null);
  const channel = cells.reduce((top, cell, index) => ((cell?.score ?? -1) > (cells[top]?.score ?? -1) ? index : top), 0);
  const cell = cells[channel] ?? null;
  const hop = lanes[channel] ? stretch(lanes[channel].activity.hops, at_ms, at_ms + 0.001)[0] : undefined;
  const wave = sound?.extremes(at_ms - px_ms / 2, at_ms + px_ms / 2) ?? null;
  const peak = wave && at_ms <= /** @type {import("./sound.js").Sound} */ (sound).duration_ms ? Math.max(wave.high, -wave.low) : null;
  const near = px_ms * NEAR_PX;
  return {
    at_ms,
    level_dbfs: peak === null ? null : Math.max(-60, 20 * Math.log10(Math.max(peak, 1e-9))),
    clipped: wave?.clipped ?? false,
    cell,
    channel,
    channels: lanes.length,
    speech: hop ? { speech_ms: hop.speech_ms, of_ms: hop.to_ms - hop.from_ms } : null,
    marks: [...new Set((found?.marks ?? []).filter((mark) => mark.at_ms - near <= at_ms && at_ms <= (mark.to_ms ?? mark.at_ms) + near).map((mark) => mark.kind))],
  };
}

/**
 * @param {Look} look
 * @param {Words} words
 * @returns {Record<(typeof PARTS)[number], string>}
 */
export function partsOf({ at_ms, level_dbfs, clipped, cell, channel, channels, speech, marks }, words) {
  const { chart, none } = words;
  const verdict = !cell ? none : cell.gap ? words.plot.gap : words.name[cell.verdict];
  return {
    time: fineClock(at_ms),
    level: level_dbfs === null ? none : clipped ? chart.clipped(level_dbfs) : chart.level(level_dbfs),
    verdict: [channels > 1 && cell && !cell.gap ? chart.ofChannel(verdict, channel + 1) : verdict, ...marks.map((kind) => chart.mark[kind] ?? kind)].join(" · "),
    score: words.score(cell?.score ?? null),
    llr: llrOf(cell, words),
    speech: speech ? chart.part(speech.speech_ms, speech.of_ms) : none,
    window: cell?.window_ms && !cell.gap ? chart.window(...cell.window_ms) : none,
    quality: cell?.level_dbfs === undefined ? none : chart.quality(cell.level_dbfs, cell.bandwidth_hz ?? null, cell.clipping ?? 0),
  };
}

/**
 * The same as one sentence, for a screen reader: only what is known.
 * @param {Look} look
 * @param {Words} words
 */
export function sentenceOf(look, words) {
  const parts = partsOf(look, words);
  return PARTS.filter((name) => parts[name] !== words.none)
    .map((name) => (name === "time" || name === "verdict" ? parts[name] : `${words.chart.head[name]} ${parts[name]}`))
    .join(", ");
}

/** @param {Cell | null} cell @param {Words} words */
export function llrOf(cell, words) {
  return cell?.llr == null || cell.score === null ? words.none : words.chart.llr(cell.llr);
}

/** The columns of the table, in order. */
export const COLUMNS = /** @type {const} */ (["time", "verdict", "score", "llr", "speech", "window", "quality", "windows"]);

/**
 * @param {Cell} cell
 * @param {number} channel
 * @param {number} channels
 * @param {Words} words
 * @returns {Record<(typeof COLUMNS)[number], string>}
 */
export function rowOf(cell, channel, channels, words) {
  const look = { at_ms: cell.from_ms, level_dbfs: null, clipped: false, cell, channel, channels, speech: null, marks: [] };
  const parts = partsOf(look, words);
  return {
    ...parts,
    time: words.chart.window(cell.from_ms, cell.to_ms),
    speech: cell.gap || cell.speech_ms === undefined || !cell.window_ms || cell.windows !== 1 ? words.none : words.chart.part(cell.speech_ms, cell.window_ms[1] - cell.window_ms[0]),
    windows: String(cell.windows),
  };
}
