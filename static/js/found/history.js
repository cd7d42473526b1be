// The scored windows of one channel as cells on a time axis: what the score line and the strip draw. Pure. Used by verdict.js and chart/.
//
// A window speaks for the time around its middle, half-way to its neighbours' middles, as the server's own spoofed ranges do; the first and the
// last reach to the ends. Old cells are merged in pairs, so that hours of listening stay a few thousand cells; a merged cell keeps the worst
// verdict and the extremes of the score, so that nothing suspicious is smoothed away. `activity` beside them says how much of each hop was speech.
// @ts-check

import { Activity } from "./activity.js";
import { thinned } from "./thinning.js";

/**
 * @typedef {"bonafide" | "spoof" | "uncertain" | "no_speech"} VerdictName
 * @typedef {{from_ms: number, to_ms: number, verdict: VerdictName, score: number | null, low: number | null, high: number | null, windows: number,
 *   gap?: boolean, llr?: number | null, speech_ms?: number, window_ms?: [number, number], level_dbfs?: number, clipping?: number,
 *   bandwidth_hz?: number | null}} Cell  window_ms: what the window, or all windows of a merged cell, heard; speech_ms: in one window, a mean when merged
 * @typedef {{start_ms: number, end_ms: number, verdict: VerdictName, score: number | null, llr?: number | null, speech_ms?: number,
 *   quality?: {level_dbfs: number, clipping: number, bandwidth_hz: number | null}}} Scored
 */

/** @type {VerdictName[]} */
const WORST_FIRST = ["spoof", "uncertain", "bonafide", "no_speech"];
const MOST_CELLS = 2048;
const KEPT_FINE = 512; // the newest cells, never merged

export class History {
  constructor(most = MOST_CELLS, keptFine = KEPT_FINE) {
    this.most = most;
    /** @type {Cell[]} */
    this.cells = [];
    this._middle = 0;
    this.activity = new Activity();
    /** @type {import("./thinning.js").Rule<Cell>} */
    this._rule = { most, keptFine, level: 1, size: (cell) => cell.windows, join: (a, b) => (a.gap || b.gap ? null : merged(a, b)) };
  }

  /** @param {Scored} segment */
  add({ start_ms, end_ms, verdict, score, llr = null, speech_ms = 0, quality }) {
    this.activity.add({ start_ms, end_ms, speech_ms });
    const middle = (start_ms + end_ms) / 2;
    const last = this.cells.at(-1);
    const from_ms = !last ? start_ms : last.gap ? last.to_ms : Math.max(last.from_ms, (this._middle + middle) / 2);
    if (last) last.to_ms = from_ms;
    this.cells.push({ from_ms, to_ms: end_ms, verdict, score, low: score, high: score, windows: 1, llr, speech_ms, window_ms: [start_ms, end_ms], ...quality });
    this._middle = middle;
    if (this.cells.length > this.most) this.cells = thinned(this.cells, this._rule);
  }

  /**
   * A stretch that was never scored: the connection was lost for too long.
   * @param {number} from_ms
   * @param {number} to_ms
   */
  gap(from_ms, to_ms) {
    const last = this.cells.at(-1);
    if (last) last.to_ms = Math.min(last.to_ms, from_ms);
    this.cells.push({ from_ms, to_ms, verdict: "no_speech", score: null, low: null, high: null, windows: 0, gap: true });
  }

  /** @param {number} duration_ms the recording's end: the last window reaches to it */
  close(duration_ms) {
    const last = this.cells.at(-1);
    if (last && !last.gap) last.to_ms = Math.max(last.from_ms, duration_ms);
  }
}

/**
 * @param {Cell} a
 * @param {Cell} b
 * @returns {Cell}
 */
function merged(a, b) {
  const verdict = WORST_FIRST.find((name) => name === a.verdict || name === b.verdict) ?? "no_speech";
  const known = [a, b].filter((cell) => cell.score !== null);
  const windows = known.reduce((sum, cell) => sum + cell.windows, 0);
  const mean = (/** @type {"score" | "llr"} */ name) => known.reduce((sum, cell) => sum + /** @type {number} */ (cell[name]) * cell.windows, 0) / windows;
  return {
    from_ms: a.from_ms,
    to_ms: b.to_ms,
    verdict,
    score: known.length ? mean("score") : null,
    llr: known.length ? mean("llr") : null,
    low: known.length ? Math.min(...known.map((cell) => /** @type {number} */ (cell.low))) : null,
    high: known.length ? Math.max(...known.map((cell) => /** @type {number} */ (cell.high))) : null,
    windows: a.windows + b.windows,
    speech_ms: ((a.speech_ms ?? 0) * a.windows + (b.speech_ms ?? 0) * b.windows) / (a.windows + b.windows),
    window_ms: [a.window_ms?.[0] ?? a.from_ms, b.window_ms?.[1] ?? b.to_ms],
    level_dbfs: most(a.level_dbfs, b.level_dbfs),
    clipping: most(a.clipping, b.clipping),
    bandwidth_hz: most(a.bandwidth_hz, b.bandwidth_hz),
  };
}

/** @param {number | null | undefined} a @param {number | null | undefined} b */
function most(a, b) {
  return a == null || b == null ? (a ?? b ?? undefined) : Math.max(a, b);
}
