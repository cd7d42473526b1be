// The score line over its uncertain band, and under it one strip of verdicts a channel, on one time axis. Draws only when something changed.
// In: Findings and what stretch of time to show. Used by page.js. Colours and font come from the style sheet (patterns.js); letters and patterns
// tell the verdicts apart without colour.
// @ts-check

import { Brush } from "./patterns.js";
import { ticks } from "../found/time.js";
import { panelOf } from "../view/panel.js";

const LIVE_MS = 30_000; // the stretch shown while listening
const LEFT = 68;
const RIGHT = 14;
const TOP = 10;
const SCORE_H = 132;
const INSET = 9; // so that a score of 0 or 1 is a line of its own and not the frame
const LANE_H = 30;
const LANE_GAP = 6;
const AXIS_H = 24;

/**
 * @typedef {import("../found/verdict.js").Findings} Findings
 * @typedef {import("../found/history.js").Cell} Cell
 * @typedef {{found: Findings | null, now_ms: number, live: boolean, band: [number, number]}} Scene
 */

export class Chart extends EventTarget {
  /** @param {import("../page.js").Page} page */
  constructor(page) {
    super();
    this.page = page;
    const canvas = (this.canvas = /** @type {HTMLCanvasElement} */ (document.getElementById("plot")));
    this.words = page.words;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    /** @type {Scene} */
    this.scene = { found: null, now_ms: 0, live: false, band: [0.5, 0.5] };
    this.dirty = false;
    /** @type {Brush | null} */
    this.brush = null;
    const restyle = () => {
      this.brush = null;
      this.invalidate();
    };
    new ResizeObserver(restyle).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
    this.lanes = 1;
  }

  /** @param {import("../check.js").Check} check */
  show(check) {
    const live = check.kind === "live" && check.running;
    const found = check.found.windows || live || check.found.done ? check.found : null;
    const received_ms = check.found.received_ms;
    const now_ms = live ? Math.max(check.captured_ms, received_ms) : received_ms;
    const band = this.page.facts.points[check.found.config?.profile ?? check.profile];
    this.scene = { found, now_ms, live, band };
    const { words } = this;
    const label = found ? words.plot.label(panelOf(check, words).title, received_ms) : words.plot.empty;
    if (this.canvas.getAttribute("aria-label") !== label) this.canvas.setAttribute("aria-label", label);
    const lanes = Math.max(1, this.scene.found?.lanes.length ?? 1);
    if (lanes !== this.lanes) {
      this.lanes = lanes;
      this.canvas.style.height = `${this.height}px`;
    }
    this.invalidate();
  }

  get height() {
    return TOP + SCORE_H + this.lanes * (LANE_H + LANE_GAP) + AXIS_H + 8;
  }

  invalidate() {
    if (this.dirty) return;
    this.dirty = true;
    requestAnimationFrame(() => {
      this.dirty = false;
      this._draw();
    });
  }

  _draw() {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    const scale = window.devicePixelRatio || 1;
    if (!width || !height) return;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    const c = this.context;
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, width, height);
    this.brush ??= new Brush(this.canvas, scale);
    const { found, now_ms, live } = this.scene;
    const from = live ? Math.max(0, now_ms - LIVE_MS) : 0;
    const to = live ? Math.max(LIVE_MS, now_ms) : Math.max(1000, found ? now_ms : LIVE_MS);
    const right = width - RIGHT;
    const x = (/** @type {number} */ ms) => LEFT + ((Math.min(to, Math.max(from, ms)) - from) / (to - from)) * (right - LEFT);
    const y = (/** @type {number} */ score) => TOP + INSET + (1 - score) * (SCORE_H - 2 * INSET);
    this._frame(right, y);
    this._axis(from, to, x, right);
    c.save();
    c.beginPath();
    c.rect(LEFT, 0, right - LEFT, height);
    c.clip();
    // With two channels the strips tell which one a stretch belongs to; shading behind both lines would not.
    for (const range of (this.lanes === 1 && found?.done?.spoof_ranges) || []) this._range(x(range.start_ms), x(range.end_ms));
    (found?.lanes ?? []).forEach((lane, index) => {
      const cells = visible(lane.cells, from, to);
      const end = live ? Math.max(now_ms, cells.at(-1)?.to_ms ?? 0) : to;
      this._line(cells, x, y, index);
      this._strip(cells, x, TOP + SCORE_H + LANE_GAP + index * (LANE_H + LANE_GAP), end);
    });
    c.restore();
    if (live && found) this._now(x(now_ms));
    if (!found) this._hint(LEFT, right);
  }

  /** @param {number} right @param {(score: number) => number} y */
  _frame(right, y) {
    const c = this.context;
    const brush = /** @type {Brush} */ (this.brush);
    const [low, high] = this.scene.band;
    c.fillStyle = brush.colours.band;
    c.fillRect(LEFT, y(high), right - LEFT, y(low) - y(high));
    brush.text(c, this.words.plot.machine, LEFT - 10, y(1), { align: "right", colour: brush.colours.spoof });
    brush.text(c, this.words.plot.human, LEFT - 10, y(0), { align: "right", colour: brush.colours.bonafide });
    const middle = (y(low) + y(high)) / 2;
    if (middle > y(1) + 20 && middle < y(0) - 20) brush.text(c, this.words.plot.band, LEFT - 10, middle, { align: "right" });
    c.strokeStyle = brush.colours.line;
    c.lineWidth = 1;
    c.strokeRect(LEFT + 0.5, TOP + 0.5, right - LEFT - 1, SCORE_H - 1);
    for (let lane = 0; lane < this.lanes; lane++) {
      c.strokeRect(LEFT + 0.5, TOP + SCORE_H + LANE_GAP + lane * (LANE_H + LANE_GAP) + 0.5, right - LEFT - 1, LANE_H - 1);
      if (this.lanes > 1) brush.text(c, String(lane + 1), LEFT - 10, TOP + SCORE_H + LANE_GAP + lane * (LANE_H + LANE_GAP) + LANE_H / 2, { align: "right" });
    }
  }

  /** @param {number} from @param {number} to @param {(ms: number) => number} x @param {number} right */
  _axis(from, to, x, right) {
    const c = this.context;
    const brush = /** @type {Brush} */ (this.brush);
    const top = TOP + SCORE_H + this.lanes * (LANE_H + LANE_GAP) + LANE_GAP;
    for (const at of ticks(from, to, Math.max(2, Math.floor((right - LEFT) / 90)))) {
      c.fillStyle = brush.colours.line;
      c.fillRect(Math.round(x(at)), top - LANE_GAP + 2, 1, 5);
      if (x(at) < right - 14 || at === to) brush.text(c, this.words.clock(at), Math.min(x(at), right - 12), top + 11, { align: "center" });
    }
  }

  /** A stretch the final result calls machine-made. @param {number} left @param {number} right */
  _range(left, right) {
    const c = this.context;
    const brush = /** @type {Brush} */ (this.brush);
    c.globalAlpha = 0.1;
    c.fillStyle = brush.colours.spoof;
    c.fillRect(left, TOP, right - left, SCORE_H);
    c.globalAlpha = 1;
  }

  /** @param {Cell[]} cells @param {(ms: number) => number} x @param {(score: number) => number} y @param {number} index */
  _line(cells, x, y, index) {
    const c = this.context;
    const brush = /** @type {Brush} */ (this.brush);
    c.strokeStyle = brush.colours.ink;
    c.lineWidth = 2;
    c.lineJoin = c.lineCap = "round";
    c.setLineDash(index ? [6, 4] : []);
    c.beginPath();
    let pen = false;
    cells.forEach((cell, i) => {
      if (cell.score === null) return void (pen = false);
      const first = !pen;
      // From its left end (or its middle, joined to the one before) to the middle; the last of a run goes on to its right end.
      if (first) c.moveTo(x(cell.from_ms), y(cell.score));
      c.lineTo((x(cell.from_ms) + x(cell.to_ms)) / 2, y(cell.score));
      if (cells[i + 1]?.score == null) c.lineTo(x(cell.to_ms), y(cell.score));
      pen = true;
    });
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 0.25;
    c.fillStyle = brush.colours.ink;
    for (const { from_ms, to_ms, low, high, windows } of cells) {
      if (windows > 1 && low !== null && high !== null) c.fillRect(x(from_ms), y(high), Math.max(1, x(to_ms) - x(from_ms)), Math.max(1, y(low) - y(high)));
    }
    c.globalAlpha = 1;
  }

  /** @param {Cell[]} cells @param {(ms: number) => number} x @param {number} top @param {number} end */
  _strip(cells, x, top, end) {
    const brush = /** @type {Brush} */ (this.brush);
    for (let i = 0, next; i < cells.length; i = next) {
      const { verdict, gap } = cells[i];
      for (next = i + 1; next < cells.length && cells[next].verdict === verdict && cells[next].gap === gap; next++);
      const left = x(cells[i].from_ms);
      const right = x(next < cells.length ? cells[next - 1].to_ms : Math.min(end, cells[next - 1].to_ms));
      const letter = gap ? (right - left > 70 ? this.words.plot.gap : "") : this.words.letter[verdict];
      brush.block(this.context, gap ? "gap" : verdict, left, top, Math.max(1, right - left - (next < cells.length ? 1.5 : 0)), LANE_H, letter);
    }
  }

  /** @param {number} at */
  _now(at) {
    const c = this.context;
    c.fillStyle = /** @type {Brush} */ (this.brush).colours.muted;
    c.fillRect(Math.round(at), TOP, 1, SCORE_H + this.lanes * (LANE_H + LANE_GAP));
  }

  /** @param {number} left @param {number} right */
  _hint(left, right) {
    /** @type {Brush} */ (this.brush).text(this.context, this.words.plot.empty, (left + right) / 2, TOP + SCORE_H * 0.82, { align: "center" });
  }
}

/**
 * The cells that touch [from, to]; found by halving, because hours of them may lie before.
 * @param {Cell[]} cells
 * @param {number} from
 * @param {number} to
 */
export function visible(cells, from, to) {
  const firstWhere = (/** @type {(cell: Cell) => boolean} */ test) => {
    let low = 0;
    let high = cells.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(cells[middle])) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return cells.slice(firstWhere((cell) => cell.to_ms > from), firstWhere((cell) => cell.from_ms >= to));
}
