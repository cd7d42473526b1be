// All of the recording on one narrow strip, with a frame around the stretch on show; drag or click in it to go somewhere. For the eye and the pointer: the
// keyboard has Home, End and the page keys on the chart itself. Used by chart.js.
// @ts-check

import { Scale } from "./axis.js";
import { Ribbon, wavePainter } from "./ribbon.js";
import { prepared } from "./surface.js";

const STRIP_PX = 6;

export class Overview {
  /** @type {Ribbon | null} */ #ribbon = null;
  /** @type {unknown} */ #brush = null;
  #whole_ms = 0;
  /** @type {{left: number, right: number}} */ #edges = { left: 0, right: 1 };

  /** @param {HTMLCanvasElement} canvas @param {(middle_ms: number) => void} go */
  constructor(canvas, go) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const to = (/** @type {PointerEvent} */ event) => {
      const { left, right } = this.#edges;
      go(new Scale(0, this.#whole_ms, left, right).ms(event.clientX - canvas.getBoundingClientRect().left));
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      to(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) to(event);
    });
  }

  /**
   * @param {import("./tracks.js").Scene} scene
   * @param {import("./axis.js").Axis} axis
   * @param {import("./patterns.js").Brush} brush
   * @param {{left: number, right: number}} edges of the tracks above it
   */
  draw(scene, axis, brush, { left, right }) {
    const area = prepared(this.canvas, this.context);
    if (!area) return;
    const { height, dpr } = area;
    const c = this.context;
    this.#edges = { left, right };
    this.#whole_ms = axis.whole_ms;
    const width = Math.round((right - left) * dpr);
    const tall = Math.round((height - STRIP_PX - 2) * dpr);
    if (this.#brush !== brush || this.#ribbon?.width !== width) {
      this.#brush = brush;
      this.#ribbon = new Ribbon(wavePainter(tall, { wave: brush.colours.no_speech, clipped: brush.colours.spoof }, dpr), width, tall);
    }
    if (scene.sound && width > 0) {
      c.setTransform(1, 0, 0, 1, 0, 0);
      this.#ribbon.draw(c, scene.sound, 0, axis.whole_ms / width, { left: Math.round(left * dpr), top: 0, width });
      c.setTransform(dpr, 0, 0, dpr, 0, 0);
    }
    const scale = new Scale(0, axis.whole_ms, left, right);
    const lanes = scene.found?.lanes ?? [];
    lanes.forEach((lane, index) => {
      const thick = STRIP_PX / lanes.length;
      for (const cell of lane.cells) {
        c.fillStyle = cell.gap ? brush.colours.line : brush.colours[cell.verdict];
        const thin = cell.gap || cell.verdict === "no_speech" || cell.verdict === "uncertain"; // height tells what colour tells
        const x = scale.snapped(cell.from_ms, dpr);
        c.fillRect(x, height - STRIP_PX + thick * index + (thin ? thick / 2 : 0), Math.max(1 / dpr, scale.snapped(cell.to_ms, dpr) - x), thin ? thick / 2 : thick);
      }
    });
    c.strokeStyle = brush.colours.line;
    c.lineWidth = 1;
    c.strokeRect(left - 0.5, 0.5, right - left + 1, height - 1);
    const [from, to] = [scale.x(axis.from_ms), scale.x(axis.to_ms)];
    if (to - from > right - left - 2) return;
    c.fillStyle = brush.colours.panel;
    c.globalAlpha = 0.55;
    c.fillRect(left, 1, from - left, height - 2);
    c.fillRect(to, 1, right - to, height - 2);
    c.globalAlpha = 1;
    c.strokeStyle = brush.colours.ink;
    c.lineWidth = 1.5;
    c.strokeRect(from + 0.75, 0.75, Math.max(3, to - from - 1.5), height - 1.5);
  }
}
