// What lies over the tracks and moves quickly: the cursor with what it points at, and the playhead; and the line of figures under the chart, which says the
// same in words, also to screen readers (the chart is a slider whose value is that sentence). Used by chart.js.
// @ts-check

import { PARTS, partsOf, sentenceOf } from "./readout.js";
import { prepared } from "./surface.js";
import { scoreY } from "./tracks.js";

export class Overlay {
  #said = "";
  #blank = false;

  /** @param {HTMLCanvasElement} canvas @param {HTMLElement} line with one element a part, `data-part` @param {HTMLElement} slider */
  constructor(canvas, line, slider) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.slider = slider;
    this.line = line;
    this.parts = Object.fromEntries(PARTS.map((name) => [name, /** @type {HTMLElement} */ (line.querySelector(`[data-part=${name}] dd`))]));
  }

  /**
   * @param {{look: import("./readout.js").Look | null, playhead_ms: number | null, scale: import("./axis.js").Scale, layout: import("./tracks.js").Layout,
   *   brush: import("./patterns.js").Brush, words: import("../words/index.js").Words}} what
   */
  draw({ look, playhead_ms, scale, layout, brush, words }) {
    this.#say(look, words);
    const c = this.context;
    const blank = !look && playhead_ms === null;
    if ((blank && this.#blank) || !prepared(this.canvas, c)) return;
    this.#blank = blank;
    const within = (/** @type {number} */ ms) => ms >= scale.from_ms - scale.px_ms && ms <= scale.to_ms + scale.px_ms;
    const bottom = layout.axis.top - 4;
    if (playhead_ms !== null && within(playhead_ms)) {
      const x = scale.x(playhead_ms);
      c.fillStyle = brush.colours.focus;
      c.fillRect(x - 1, layout.wave.top, 2, bottom - layout.wave.top);
      c.beginPath();
      c.moveTo(x - 6, layout.wave.top - 8);
      c.lineTo(x + 6, layout.wave.top - 8);
      c.lineTo(x, layout.wave.top + 1);
      c.fill();
    }
    if (look && within(look.at_ms)) this.#cursor(look, scale, layout, brush, bottom);
  }

  /** @param {import("./readout.js").Look} look @param {import("./axis.js").Scale} scale @param {import("./tracks.js").Layout} layout @param {import("./patterns.js").Brush} brush @param {number} bottom */
  #cursor({ at_ms, cell }, scale, layout, brush, bottom) {
    const c = this.context;
    const x = Math.round(scale.x(at_ms));
    c.fillStyle = brush.colours.ink;
    c.fillRect(x, layout.wave.top, 1, bottom - layout.wave.top);
    if (!cell?.window_ms || cell.gap) return;
    // What the window heard, as a bracket over the score.
    const [from, to] = cell.window_ms.map(scale.x);
    const { top, height } = layout.score;
    c.globalAlpha = 0.08;
    c.fillRect(from, top, to - from, height);
    c.globalAlpha = 1;
    c.fillRect(from, top + height - 3, to - from, 2);
    for (const end of [from, to - 1]) c.fillRect(end, top + height - 7, 1, 6);
    if (cell.score === null) return;
    c.beginPath();
    c.arc(x + 0.5, scoreY(layout.score, cell.score), 4, 0, 7);
    c.fillStyle = brush.colours.panel;
    c.fill();
    c.lineWidth = 2;
    c.strokeStyle = brush.colours.ink;
    c.stroke();
  }

  /** @param {import("./readout.js").Look | null} look @param {import("../words/index.js").Words} words */
  #say(look, words) {
    const parts = look && partsOf(look, words);
    const sentence = look ? sentenceOf(look, words) : words.chart.nowhere;
    const said = parts ? PARTS.map((name) => parts[name]).join("\n") : `${words.language} -`;
    const { slider } = this;
    if (said === this.#said) return;
    this.#said = said;
    this.line.dataset.empty = String(!parts);
    for (const name of PARTS) {
      const text = parts ? parts[name] : words.none;
      if (this.parts[name].textContent !== text) this.parts[name].textContent = text;
    }
    slider.setAttribute("aria-valuenow", look ? (look.at_ms / 1000).toFixed(2) : "0");
    slider.setAttribute("aria-valuetext", sentence);
  }
}
