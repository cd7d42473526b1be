// The picture of the sound as a ribbon of pixel columns that is painted once and then only moved: while the view scrolls, only the columns that come into
// sight are painted. A column stands for a fixed stretch of time (`px_ms`), and column n of the recording lies at n modulo the ribbon's width; another
// zoom, size or theme begins a new ribbon. Used by screen.js, one each for the waveform and for the spectrogram, and by overview.js.
// @ts-check

import { ROWS } from "./sound.js";

/**
 * @typedef {import("./sound.js").Sound} Sound
 * @typedef {{paint: (sound: Sound, from_ms: number, px_ms: number, count: number) => CanvasImageSource, height: number}} Painter
 *   paints `count` columns at the left of a picture of its own, `height` pixels high
 */

export class Ribbon {
  /** @param {(width: number) => Painter} makePainter @param {number} width in device pixels, at least as wide as the view @param {number} height */
  constructor(makePainter, width, height) {
    this.painter = makePainter(width);
    this.width = width;
    this.height = height; // the painter's picture is stretched to it once, and not with every frame
    this.canvas = sheet(width, height);
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.#forget();
  }

  /** @type {Sound | null} */ #sound = null;
  #px_ms = 0;
  #from = 0; // columns #from..#to are painted
  #to = 0;

  #forget() {
    this.#from = this.#to = 0;
  }

  /**
   * @param {CanvasRenderingContext2D} c in device pixels
   * @param {Sound} sound
   * @param {number} column the recording's column at `left`
   * @param {number} px_ms
   * @param {{left: number, top: number, width: number}} box whole device pixels
   */
  draw(c, sound, column, px_ms, { left, top, width }) {
    const known = Math.ceil(sound.duration_ms / px_ms);
    const to = Math.min(column + width, known);
    if (sound !== this.#sound || px_ms !== this.#px_ms || column >= this.#to || to <= this.#from) {
      this.#sound = sound;
      this.#px_ms = px_ms;
      this.#from = this.#to = column;
    }
    // The newest columns were painted before all of their sound had come.
    if (column < this.#from) {
      this.#paint(column, this.#from);
      this.#from = column;
      this.#to = Math.min(this.#to, column + this.width);
    }
    if (to > this.#to) {
      this.#paint(this.#to, to);
      this.#to = to;
      this.#from = Math.max(this.#from, to - this.width);
    }
    const settled = Math.floor((sound.duration_ms - SETTLE_MS) / px_ms);
    this.#to = Math.max(this.#from, Math.min(this.#to, settled));
    for (let at = column; at < to; ) {
      const slot = at % this.width;
      const count = Math.min(to - at, this.width - slot);
      c.drawImage(this.canvas, slot, 0, count, this.height, left + at - column, top, count, this.height);
      at += count;
    }
  }

  /** @param {number} from @param {number} to */
  #paint(from, to) {
    for (let at = from; at < to; ) {
      const slot = at % this.width;
      const count = Math.min(to - at, this.width - slot);
      const picture = this.painter.paint(/** @type {Sound} */ (this.#sound), at * this.#px_ms, this.#px_ms, count);
      this.context.clearRect(slot, 0, count, this.height);
      this.context.drawImage(picture, 0, 0, count, this.painter.height, slot, 0, count, this.height);
      at += count;
    }
  }
}

const SETTLE_MS = 60; // longer than a frame of the spectrogram

/** @param {number} width @param {number} height */
function sheet(width, height) {
  const canvas = document.createElement("canvas"); // an OffscreenCanvas would do, but Safari has it since 16.4 only
  canvas.width = Math.max(1, width);
  canvas.height = Math.max(1, height);
  return canvas;
}

/**
 * Paints the spectrogram: one pixel row a band, the lowest at the bottom; stretched to its track it becomes smooth.
 * @param {Uint32Array} colours
 * @returns {(width: number) => Painter}
 */
export function spectrogramPainter(colours) {
  return (width) => {
    const canvas = sheet(width, ROWS);
    const c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = c.createImageData(canvas.width, ROWS);
    const pixels = new Uint32Array(image.data.buffer);
    const column = new Uint8Array(ROWS);
    return {
      height: ROWS,
      paint(sound, from_ms, px_ms, count) {
        for (let x = 0; x < count; x++) {
          const known = sound.bandsAt(from_ms + x * px_ms, from_ms + (x + 1) * px_ms, column);
          for (let row = 0; row < ROWS; row++) pixels[(ROWS - 1 - row) * canvas.width + x] = known ? colours[column[row]] : 0;
        }
        c.putImageData(image, 0, 0, 0, 0, count, ROWS);
        return canvas;
      },
    };
  };
}

/**
 * Paints the waveform: a bar from the lowest to the highest sample; clipped columns in another colour, with a cap at the edge that tells them without colour.
 * @param {number} height device pixels
 * @param {{wave: string, clipped: string}} colours
 * @param {number} scale device pixels a CSS pixel
 * @returns {(width: number) => Painter}
 */
export function wavePainter(height, colours, scale) {
  return (width) => {
    const canvas = sheet(width, height);
    const c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const middle = height / 2;
    const reach = middle - 3 * scale;
    const cap = Math.round(3 * scale);
    return {
      height,
      paint(sound, from_ms, px_ms, count) {
        c.clearRect(0, 0, count, height);
        for (let x = 0; x < count; x++) {
          const found = sound.extremes(from_ms + x * px_ms, from_ms + (x + 1) * px_ms);
          if (!found) continue;
          c.fillStyle = found.clipped ? colours.clipped : colours.wave;
          const top = middle - found.high * reach;
          c.fillRect(x, top, 1, Math.max(scale, middle - found.low * reach - top));
          if (!found.clipped) continue;
          c.fillRect(x, 0, 1, cap);
          c.fillRect(x, height - cap, 1, cap);
        }
        return canvas;
      },
    };
  };
}
