// The tracks of the chart, one below the other on one time axis: marks, waveform, spectrogram, score, speech, a strip of verdicts a channel, the time.
// In: a Scene, a Scale and a Brush; out: pixels on any 2D context. Used by chart.js for the screen and for the report's picture.
// @ts-check

import { fineTicks } from "./axis.js";
import { flag } from "./marks.js";
import { ticks } from "../found/time.js";
import { TOP_HZ } from "./sound.js";

/**
 * @typedef {import("../found/history.js").Cell} Cell
 * @typedef {import("../found/history.js").History} History
 * @typedef {{top: number, height: number}} Track
 * @typedef {{width: number, height: number, left: number, right: number, small: boolean, marks: Track, wave: Track, spectrum: Track, score: Track,
 *   speech: Track, strips: Track[], axis: Track}} Layout CSS pixels
 * @typedef {{found: import("../found/verdict.js").Findings | null, sound: import("./sound.js").Sound | null, now_ms: number, live: boolean,
 *   band: [number, number], hint: string, soundless: string}} Scene
 *   hint: what an empty chart says; soundless: why there is no picture of the sound
 */

const NARROW_PX = 560;
const GAP = 5;
const INSET = 9; // so that a score of 0 or 1 is a line of its own and not the frame

/**
 * @param {number} width
 * @param {number} lanes
 * @returns {Layout}
 */
export function layoutOf(width, lanes) {
  const small = width < NARROW_PX;
  let at = 0;
  const track = (/** @type {number} */ height, gap = GAP) => {
    const top = at;
    at += height + gap;
    return { top, height };
  };
  const marks = track(15, 1);
  const wave = track(small ? 52 : 64);
  const spectrum = track(small ? 84 : 108);
  const score = track(small ? 96 : 112);
  const speech = track(18);
  const strips = Array.from({ length: lanes }, () => track(30));
  const axis = track(20, 0);
  return { width, height: at, left: small ? 62 : 70, right: width - (small ? 4 : 10), small, marks, wave, spectrum, score, speech, strips, axis };
}

/** Where a score lies in its track. @param {Track} track @param {number} score */
export function scoreY({ top, height }, score) {
  return top + INSET + (1 - score) * (height - 2 * INSET);
}

export class Tracks {
  /**
   * @param {CanvasRenderingContext2D} c scaled so that one unit is a CSS pixel
   * @param {{layout: Layout, scale: import("./axis.js").Scale, brush: import("./patterns.js").Brush, words: import("../words/index.js").Words}} with_
   */
  constructor(c, { layout, scale, brush, words }) {
    this.c = c;
    this.layout = layout;
    this.scale = scale;
    this.brush = brush;
    this.words = words;
  }

  /**
   * @param {Scene} scene
   * @param {() => void} paintSound draws waveform and spectrogram
   */
  draw(scene, paintSound) {
    const { c, layout, scale } = this;
    const { found, live } = scene;
    this.#frames(scene);
    paintSound();
    c.save();
    c.beginPath();
    c.rect(layout.left, 0, layout.right - layout.left, layout.height);
    c.clip();
    for (const range of found?.done?.spoof_ranges ?? []) this.#range(range, found?.lanes.length === 1);
    this.#band(scene);
    const spans = found ? found.marks.filter((mark) => mark.to_ms !== undefined && mark.to_ms > scale.from_ms && mark.at_ms < scale.to_ms) : [];
    for (const { at_ms, to_ms = at_ms } of spans) this.#unheard(at_ms, to_ms);
    (found?.lanes ?? []).forEach((lane, index) => {
      const cells = stretch(lane.cells, scale.from_ms, scale.to_ms);
      for (const cell of cells) if (cell.gap && index === 0) this.#unheard(cell.from_ms, cell.to_ms);
      this.#speech(lane, index, found?.lanes.length ?? 1);
      this.#line(cells, index);
      this.#strip(cells, layout.strips[index], live ? Math.max(scene.now_ms, cells.at(-1)?.to_ms ?? 0) : scale.to_ms);
    });
    this.#marks(scene);
    c.restore();
    this.#axis();
    if (live && found && scene.now_ms <= scale.to_ms) this.#upright(scale.x(scene.now_ms), this.brush.colours.muted);
    if (!found && !scene.sound) this.#say(scene.hint, layout.score);
    if (!scene.sound && scene.soundless) this.#say(scene.soundless, layout.spectrum);
  }

  /** @param {Scene} scene */
  #frames(scene) {
    const { c, layout, brush, words } = this;
    const { left, right, wave, spectrum, score, speech, strips } = layout;
    c.strokeStyle = brush.colours.line;
    c.lineWidth = 1;
    for (const { top, height } of [wave, spectrum, score, speech, ...strips]) c.strokeRect(left - 0.5, top - 0.5, right - left + 1, height + 1);
    c.fillStyle = brush.colours.line;
    c.fillRect(left, wave.top + Math.floor(wave.height / 2), right - left, 1);
    const label = (/** @type {string} */ text, /** @type {number} */ y, colour = brush.colours.muted) =>
      brush.text(c, text, left - 7, y, { align: "right", colour, size: layout.small ? 11 : 12 });
    label(words.chart.sound, wave.top + wave.height / 2);
    label(words.chart.khz(TOP_HZ / 1000), spectrum.top + 7);
    label("4", spectrum.top + spectrum.height / 2);
    label("0", spectrum.top + spectrum.height - 6);
    label(words.plot.machine, this.y(1), brush.colours.spoof);
    label(words.plot.human, this.y(0), brush.colours.bonafide);
    const middle = (this.y(scene.band[0]) + this.y(scene.band[1])) / 2;
    if (middle > this.y(1) + 15 && middle < this.y(0) - 15) label(words.plot.band, middle);
    label(words.chart.speech, speech.top + speech.height / 2);
    strips.forEach(({ top, height }, lane) => label(strips.length > 1 ? words.chart.channel(lane + 1) : words.chart.verdict, top + height / 2));
  }

  /** @param {number} score */
  y(score) {
    return scoreY(this.layout.score, score);
  }

  /** Where a verdict decides nothing. @param {Scene} scene */
  #band({ band: [low, high] }) {
    const { c, layout, brush } = this;
    c.fillStyle = brush.colours.band;
    c.fillRect(layout.left, this.y(high), layout.right - layout.left, this.y(low) - this.y(high));
  }

  /** A stretch the final result calls machine-made. @param {{start_ms: number, end_ms: number, channel: number}} range @param {boolean} alone */
  #range({ start_ms, end_ms, channel }, alone) {
    const { c, layout, brush, scale } = this;
    if (end_ms <= scale.from_ms || start_ms >= scale.to_ms) return;
    const [left, right] = [scale.x(start_ms), scale.x(end_ms)];
    c.fillStyle = c.strokeStyle = brush.colours.spoof;
    // With two channels only the strips tell which one a stretch belongs to; shading behind both lines would not.
    if (alone) {
      const { wave, score } = layout;
      c.globalAlpha = 0.12;
      c.fillRect(left, wave.top, right - left, wave.height);
      c.fillRect(left, score.top, right - left, score.height);
      c.globalAlpha = 1;
      for (const { top } of [wave, score]) c.fillRect(left, top, right - left, 2);
    }
    const strip = layout.strips[channel] ?? layout.strips[0];
    c.fillRect(left, strip.top - 3, right - left, 2);
  }

  /** A stretch nobody judged. @param {number} from_ms @param {number} to_ms */
  #unheard(from_ms, to_ms) {
    const { c, layout, brush, scale } = this;
    const [left, right] = [scale.x(from_ms), scale.x(to_ms)];
    c.fillStyle = brush.fills.gap ?? brush.colours.line;
    for (const { top, height } of [layout.score, layout.speech]) c.fillRect(left, top, Math.max(1, right - left), height);
  }

  /** @param {History} lane @param {number} index @param {number} lanes */
  #speech(lane, index, lanes) {
    const { c, brush, scale, layout } = this;
    const height = layout.speech.height / lanes;
    const bottom = layout.speech.top + height * (index + 1);
    c.fillStyle = brush.colours.muted;
    for (const hop of stretch(lane.activity.hops, scale.from_ms, scale.to_ms)) {
      const share = hop.speech_ms / (hop.to_ms - hop.from_ms);
      if (share <= 0) continue;
      const left = scale.snapped(hop.from_ms, brush.scale);
      c.fillRect(left, bottom - share * height, Math.max(1 / brush.scale, scale.snapped(hop.to_ms, brush.scale) - left), share * height);
    }
  }

  /** @param {Cell[]} cells @param {number} index */
  #line(cells, index) {
    const { c, brush, scale } = this;
    c.globalAlpha = 0.25;
    c.fillStyle = brush.colours.ink;
    for (const { from_ms, to_ms, low, high, windows } of cells) {
      if (windows > 1 && low !== null && high !== null) c.fillRect(scale.x(from_ms), this.y(high), Math.max(1, scale.x(to_ms) - scale.x(from_ms)), Math.max(1, this.y(low) - this.y(high)));
    }
    c.globalAlpha = 1;
    c.strokeStyle = brush.colours.ink;
    c.lineWidth = 2;
    c.lineJoin = c.lineCap = "round";
    c.setLineDash(index ? [6, 4] : []);
    c.beginPath();
    let pen = false;
    // Times outside the stretch are not held to its edges here, or the line would bend there; the clipping cuts it.
    const x = (/** @type {number} */ ms) => scale.left + (ms - scale.from_ms) / scale.px_ms;
    cells.forEach((cell, i) => {
      if (cell.score === null) return void (pen = false);
      // From its left end (or its middle, joined to the one before) to the middle; the last of a run goes on to its right end.
      if (!pen) c.moveTo(x(cell.from_ms), this.y(cell.score));
      c.lineTo((x(cell.from_ms) + x(cell.to_ms)) / 2, this.y(cell.score));
      if (cells[i + 1]?.score == null) c.lineTo(x(cell.to_ms), this.y(cell.score));
      pen = true;
    });
    c.stroke();
    c.setLineDash([]);
  }

  /** @param {Cell[]} cells @param {Track} track @param {number} end_ms */
  #strip(cells, { top, height }, end_ms) {
    const { brush, scale, words } = this;
    for (let i = 0, next; i < cells.length; i = next) {
      const { verdict, gap } = cells[i];
      for (next = i + 1; next < cells.length && cells[next].verdict === verdict && cells[next].gap === gap; next++);
      const left = scale.snapped(cells[i].from_ms, brush.scale);
      const right = scale.snapped(next < cells.length ? cells[next - 1].to_ms : Math.min(end_ms, cells[next - 1].to_ms), brush.scale);
      const letter = gap ? (right - left > 76 ? words.plot.gap : "") : words.letter[verdict];
      brush.block(this.c, gap ? "gap" : verdict, left, top, Math.max(1, right - left - (next < cells.length ? 1 : 0)), height, letter);
    }
  }

  /** @param {Scene} scene */
  #marks({ found }) {
    const { brush, layout, scale, c } = this;
    let last = -Infinity;
    const inSight = (found?.marks ?? []).filter(({ at_ms }) => at_ms >= scale.from_ms && at_ms <= scale.to_ms);
    for (const mark of inSight.sort((a, b) => a.at_ms - b.at_ms)) {
      const x = Math.round(scale.x(mark.at_ms));
      flag(c, brush, mark.kind, x, layout.marks, layout.wave, x - last > 10);
      last = x;
    }
  }

  #axis() {
    const { c, brush, layout, scale, words } = this;
    const { left, right, axis } = layout;
    const most = Math.max(2, Math.floor((right - left) / (layout.small ? 70 : 90)));
    const fine = fineTicks(scale.from_ms, scale.to_ms, most);
    for (const at of fine.length ? fine : ticks(scale.from_ms, scale.to_ms, most)) {
      const x = scale.x(at);
      c.fillStyle = brush.colours.line;
      c.fillRect(Math.round(x), axis.top - 4, 1, 5);
      const text = fine.length ? words.chart.fine(at) : words.clock(at);
      if (x > left + 8 || at === 0) brush.text(c, text, Math.min(Math.max(x, left + 10), right - 14), axis.top + 10, { align: "center", size: layout.small ? 11 : 12 });
    }
  }

  /** A line through all tracks. @param {number} x @param {string} colour @param {number} [width] */
  #upright(x, colour, width = 1) {
    const { c, layout } = this;
    c.fillStyle = colour;
    c.fillRect(Math.round(x), layout.wave.top, width, layout.axis.top - layout.wave.top - 4);
  }

  /** @param {string} text @param {Track} track */
  #say(text, { top, height }) {
    const { layout } = this;
    this.brush.text(this.c, text, (layout.left + layout.right) / 2, top + height * 0.5, { align: "center", size: layout.small ? 12 : 13, most: layout.right - layout.left - 12 });
  }
}

/**
 * Those that touch [from, to); found by halving, because hours of them may lie before.
 * @template {{from_ms: number, to_ms: number}} T
 * @param {T[]} all in order of time
 * @param {number} from_ms
 * @param {number} to_ms
 * @returns {T[]}
 */
export function stretch(all, from_ms, to_ms) {
  const firstWhere = (/** @type {(one: T) => boolean} */ test) => {
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(all[middle])) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return all.slice(firstWhere((one) => one.to_ms > from_ms), firstWhere((one) => one.from_ms >= to_ms));
}
