// The chart as a picture of its own, for the report: any stretch at any width, in the colours of paper (or the screen's), with a legend. Used by chart.js.
// @ts-check

import { flag } from "./marks.js";
import { Screen } from "./screen.js";
import { layoutOf } from "./tracks.js";

const SCALE = 2; // print has more pixels than a screen
const LINE_PX = 20;
const VERDICTS = /** @type {const} */ (["bonafide", "spoof", "uncertain", "no_speech"]);

/**
 * @param {import("./tracks.js").Scene} scene
 * @param {{width: number, from_ms: number, to_ms: number, words: import("../words/index.js").Words, brush: (scale: number) => import("./patterns.js").Brush}} options
 * @returns {Promise<Blob>}
 */
export async function paint(scene, { width, from_ms, to_ms, words, brush: brushOf }) {
  const layout = layoutOf(width, Math.max(1, scene.found?.lanes.length ?? 1));
  const brush = brushOf(SCALE);
  const canvas = document.createElement("canvas");
  const c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const legend = legendOf(c, scene, words, brush, layout.right - layout.left);
  canvas.width = width * SCALE;
  canvas.height = (layout.height + 10 + legend.height) * SCALE;
  c.setTransform(SCALE, 0, 0, SCALE, 0, 0);
  c.fillStyle = brush.colours.panel;
  c.fillRect(0, 0, width, canvas.height);
  const screen = new Screen();
  const scale = screen.scaleOf({ from_ms, span_ms: Math.max(1, to_ms - from_ms) }, layout, SCALE);
  screen.draw(c, scene, { layout, scale, brush, words });
  legend.draw(layout.left, layout.height + 10);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture could not be made"))), "image/png"));
}

/**
 * Swatches with letters, the marks that occur, and what the shadings mean, in as many lines as they need.
 * @param {CanvasRenderingContext2D} c
 * @param {import("./tracks.js").Scene} scene
 * @param {import("../words/index.js").Words} words
 * @param {import("./patterns.js").Brush} brush
 * @param {number} width
 */
function legendOf(c, scene, words, brush, width) {
  const kinds = [...new Set((scene.found?.marks ?? []).map((mark) => mark.kind))];
  c.font = `400 12px ${brush.font}`;
  const items = [
    ...VERDICTS.map((name) => ({ text: words.name[name], sign: (/** @type {number} */ x, /** @type {number} */ y) => brush.block(c, name, x, y + 1, 18, 16, words.letter[name]) })),
    ...kinds.map((kind) => ({ text: words.chart.mark[kind] ?? kind, sign: (/** @type {number} */ x, /** @type {number} */ y) => flag(c, brush, kind, x + 9, { top: y + 1, height: 16 }, null) })),
    { text: words.chart.shading, sign: null },
  ].map((item) => ({ ...item, wide: (item.sign ? 24 : 0) + c.measureText(item.text).width + 18 }));
  let x = 0;
  let line = 0;
  const placed = items.map((item) => {
    if (x && x + item.wide > width) [x, line] = [0, line + 1];
    const place = { ...item, x, y: line * LINE_PX };
    x += item.wide;
    return place;
  });
  return {
    height: (line + 1) * LINE_PX + 6,
    draw(/** @type {number} */ left, /** @type {number} */ top) {
      for (const item of placed) {
        item.sign?.(left + item.x, top + item.y);
        brush.text(c, item.text, left + item.x + (item.sign ? 24 : 0), top + item.y + 9, { colour: brush.colours.ink });
      }
    },
  };
}
