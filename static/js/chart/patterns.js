// What the canvas paints with: the style sheet's colours and font (or those of paper), and one pattern a verdict, so that colour never stands alone.
// Used by chart.js, tracks.js and marks.js.
// @ts-check

const NAMES = /** @type {const} */ (["ink", "muted", "line", "panel", "bonafide", "spoof", "uncertain", "no_speech", "band", "on_verdict", "accent", "focus"]);
const TILE = 8;

/** On white paper, whatever the screen looks like: the light theme of page.css. @type {Record<(typeof NAMES)[number], string>} */
export const PAPER = {
  ink: "#1b1f24", muted: "#5a6169", line: "#d8d6d0", panel: "#ffffff", bonafide: "#0b62a8", spoof: "#b5420a", uncertain: "#63686f", no_speech: "#83888f",
  band: "rgb(99 104 111 / 13%)", on_verdict: "#ffffff", accent: "#0b4f80", focus: "#7a3ff2",
};

/**
 * @typedef {"bonafide" | "spoof" | "uncertain" | "no_speech" | "gap"} Kind
 */

export class Brush {
  /** @param {HTMLCanvasElement} canvas whose style names colours and font @param {number} scale device pixels a CSS pixel */
  static of(canvas, scale) {
    const style = getComputedStyle(canvas);
    const colours = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name.replace("_", "-")}`).trim()]));
    return new Brush(/** @type {typeof PAPER} */ (colours), style.fontFamily, scale);
  }

  /** For paper: its own colours, the canvas's font. @param {HTMLCanvasElement} canvas @param {number} scale */
  static paper(canvas, scale) {
    return new Brush(PAPER, getComputedStyle(canvas).fontFamily, scale);
  }

  /** @param {typeof PAPER} colours @param {string} font @param {number} scale */
  constructor(colours, font, scale) {
    this.colours = colours;
    this.font = font;
    this.scale = scale;
    this.dark = isDark(colours.panel);
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
      if (kind === "gap" && letter) c.fillRect(middle - 35, top + 6, 70, height - 12);
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
   * @param {{align?: CanvasTextAlign, colour?: string, weight?: number, size?: number, most?: number}} [how] most: the width it is pressed into
   */
  text(c, text, x, y, { align = "left", colour = this.colours.muted, weight = 400, size = 12, most = undefined } = {}) {
    c.font = `${weight} ${size}px ${this.font}`;
    c.textAlign = align;
    c.textBaseline = "middle";
    c.fillStyle = colour;
    c.fillText(text, x, y, most);
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

/** Whether a ground is dark, however the style sheet writes it. @param {string} colour */
function isDark(colour) {
  const c = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  c.fillStyle = colour;
  const hex = /^#(..)(..)(..)$/.exec(c.fillStyle); // a canvas gives every opaque colour back like this
  if (!hex) return false;
  const [r, g, b] = hex.slice(1).map((part) => parseInt(part, 16));
  return 0.299 * r + 0.587 * g + 0.114 * b < 110;
}
