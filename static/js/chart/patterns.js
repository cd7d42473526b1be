// What the canvas paints with: the style sheet's colours and font, and one pattern a verdict, so that colour never stands alone. Used by plot.js.
// @ts-check

const NAMES = /** @type {const} */ (["ink", "muted", "line", "panel", "bonafide", "spoof", "uncertain", "no_speech", "band", "on_verdict"]);
const TILE = 8;

/**
 * @typedef {"bonafide" | "spoof" | "uncertain" | "no_speech" | "gap"} Kind
 */

export class Brush {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} scale device pixels a CSS pixel
   */
  constructor(canvas, scale) {
    const style = getComputedStyle(canvas);
    this.colours = /** @type {Record<(typeof NAMES)[number], string>} */ (
      Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name.replace("_", "-")}`).trim()]))
    );
    this.font = style.fontFamily;
    this.scale = scale;
    const { spoof, uncertain, muted, line } = this.colours;
    /** @type {Record<Kind, CanvasPattern | string | null>} */
    this.fills = {
      bonafide: this.colours.bonafide,
      spoof: this._stripes(spoof, 0.28, this.colours.panel, true),
      uncertain: this._dots(uncertain, this.colours.panel),
      no_speech: null,
      gap: this._stripes(line, 1, muted, false),
    };
  }

  /**
   * @param {CanvasRenderingContext2D} c
   * @param {Kind} kind
   * @param {number} left
   * @param {number} top
   * @param {number} width
   * @param {number} height
   * @param {string} letter
   */
  block(c, kind, left, top, width, height, letter) {
    const fill = this.fills[kind];
    if (fill) {
      c.fillStyle = fill;
      c.fillRect(left, top, width, height);
    } else {
      c.fillStyle = this.colours.no_speech;
      c.fillRect(left, top + height / 2 - 1, width, 2); // a thin line: nothing to judge
    }
    if (width < 13 && letter.length <= 1) return;
    const middle = left + width / 2;
    if (kind === "no_speech" || kind === "gap") {
      c.fillStyle = this.colours.panel;
      if (kind === "gap") c.fillRect(middle - 34, top + 6, 68, height - 12);
      if (kind === "gap") this.text(c, letter, middle, top + height / 2 + 1, { align: "center" });
      return;
    }
    c.fillStyle = kind === "uncertain" ? this.colours.uncertain : this.colours[kind];
    if (kind !== "bonafide") c.fillRect(middle - 9, top + height / 2 - 10, 18, 20); // a quiet ground for the letter
    this.text(c, letter, middle, top + height / 2 + 1, { align: "center", colour: this.colours.on_verdict, weight: 700, size: 14 });
  }

  /**
   * @param {CanvasRenderingContext2D} c
   * @param {string} text
   * @param {number} x
   * @param {number} y
   * @param {{align?: CanvasTextAlign, colour?: string, weight?: number, size?: number}} [how]
   */
  text(c, text, x, y, { align = "left", colour = this.colours.muted, weight = 400, size = 12 } = {}) {
    c.font = `${weight} ${size}px ${this.font}`;
    c.textAlign = align;
    c.textBaseline = "middle";
    c.fillStyle = colour;
    c.fillText(text, x, y);
  }

  /** @param {string} ground @param {number} alpha @param {string} ink @param {boolean} thick */
  _stripes(ground, alpha, ink, thick) {
    return this._tile(ground, (c) => {
      c.fillRect(0, 0, TILE, TILE);
      c.strokeStyle = ink;
      c.globalAlpha = alpha;
      c.lineWidth = thick ? 2 : 1;
      c.beginPath();
      for (const shift of [-TILE, 0, TILE]) {
        c.moveTo(shift - 1, TILE + 1);
        c.lineTo(shift + TILE + 1, -1);
      }
      c.stroke();
    }, TILE);
  }

  /** @param {string} ground @param {string} ink */
  _dots(ground, ink) {
    return this._tile(ground, (c) => {
      c.fillRect(0, 0, 6, 6);
      c.fillStyle = ink;
      c.globalAlpha = 0.45;
      c.beginPath();
      c.arc(3, 3, 1.1, 0, 7);
      c.fill();
    }, 6);
  }

  /** @param {string} ground @param {(c: CanvasRenderingContext2D) => void} paint @param {number} size */
  _tile(ground, paint, size) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = Math.round(size * this.scale);
    const c = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
    c.scale(tile.width / size, tile.height / size);
    c.fillStyle = ground;
    paint(c);
    const pattern = c.createPattern(tile, "repeat");
    pattern?.setTransform(new DOMMatrix().scale(1 / this.scale));
    return pattern;
  }
}
