// The tracks as they stand on the screen: the two ribbons of the sound, and a scale that falls on whole device pixels, so that a ribbon painted once can be
// moved along. Used by chart.js; picture.js has one of its own.
// @ts-check

import { Scale } from "./axis.js";
import { ramp } from "./colours.js";
import { Ribbon, spectrogramPainter, wavePainter } from "./ribbon.js";
import { Tracks } from "./tracks.js";

/**
 * @typedef {import("./tracks.js").Layout} Layout
 * @typedef {import("./tracks.js").Scene} Scene
 * @typedef {import("./patterns.js").Brush} Brush
 */

export class Screen {
  scale = new Scale(0, 1, 0, 1);
  #column = 0;
  #edge = { left: 0, width: 1 };
  #px_ms = 1; // of a device pixel; exactly the same from frame to frame, or the ribbons would begin anew
  #drawn = "";
  /** @type {Ribbon | null} */ #wave = null;
  /** @type {Ribbon | null} */ #spectrum = null;
  #ribbonKey = "";
  /** @type {Brush | null} */ #brush = null;

  /**
   * The stretch on show, moved to whole device pixels.
   * @param {{from_ms: number, span_ms: number}} axis @param {Layout} layout @param {number} dpr
   */
  scaleOf({ from_ms, span_ms }, layout, dpr) {
    const left = Math.round(layout.left * dpr);
    const width = Math.max(1, Math.round(layout.right * dpr) - left);
    const px_ms = (this.#px_ms = span_ms / width);
    this.#edge = { left, width };
    this.#column = Math.round(from_ms / px_ms);
    this.scale = new Scale(this.#column * px_ms, this.#column * px_ms + span_ms, left / dpr, (left + width) / dpr);
    return this.scale;
  }

  /** Whether the stretch on show is another one than at the last drawing. @param {Layout} layout @param {number} dpr */
  drawn(layout, dpr) {
    const key = [this.#column, this.#px_ms, layout.width, layout.height, dpr].join(" ");
    const fresh = key !== this.#drawn;
    this.#drawn = key;
    return fresh;
  }

  /** Colours changed: everything is painted anew. */
  forget() {
    this.#ribbonKey = this.#drawn = "";
  }

  /**
   * @param {CanvasRenderingContext2D} c
   * @param {Scene} scene
   * @param {{layout: Layout, scale: Scale, brush: Brush, words: import("../words/index.js").Words}} with_
   */
  draw(c, scene, { layout, scale, brush, words }) {
    const dpr = brush.scale;
    const { left, width } = this.#edge;
    const tall = (/** @type {number} */ px) => Math.round(px * dpr);
    const key = `${width} ${tall(layout.wave.height)}`;
    if (key !== this.#ribbonKey || brush !== this.#brush) {
      this.#ribbonKey = key;
      this.#brush = brush;
      this.#wave = new Ribbon(wavePainter(tall(layout.wave.height), { wave: brush.colours.accent, clipped: brush.colours.spoof }, dpr), width, tall(layout.wave.height));
      this.#spectrum = new Ribbon(spectrogramPainter(ramp(brush.dark)), width, tall(layout.spectrum.height));
    }
    new Tracks(c, { layout, scale, brush, words }).draw(scene, () => {
      if (!scene.sound) return;
      c.setTransform(1, 0, 0, 1, 0, 0);
      for (const [ribbon, track] of /** @type {const} */ ([[this.#wave, layout.wave], [this.#spectrum, layout.spectrum]])) {
        ribbon?.draw(c, scene.sound, this.#column, this.#px_ms, { left, top: tall(track.top), width });
      }
      c.setTransform(dpr, 0, 0, dpr, 0, 0);
    });
  }
}
