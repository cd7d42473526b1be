// The small signs above the waveform: an alert raised or cleared, sound dropped, the server restarted, a pause. Each has a shape of its own and a line down
// through the waveform; the read-out and the notices say them in words. Used by tracks.js and for the legend.
// @ts-check

/** @typedef {import("./tracks.js").Track} Track */

const HALF = 5;

/**
 * @param {CanvasRenderingContext2D} c
 * @param {import("./patterns.js").Brush} brush
 * @param {string} kind of a Mark (found/verdict.js)
 * @param {number} x
 * @param {Track} row where the sign stands
 * @param {Track | null} last the track down to which the line goes; none in a legend
 * @param {boolean} [signed] whether there is room for the sign
 */
export function flag(c, brush, kind, x, row, last, signed = true) {
  const colour = kind === "alert" ? brush.colours.spoof : kind === "cleared" ? brush.colours.bonafide : brush.colours.ink;
  c.strokeStyle = c.fillStyle = colour;
  c.lineWidth = 1;
  const y = row.top + row.height / 2;
  if (last) {
    c.setLineDash(kind === "alert" ? [] : [3, 3]);
    c.beginPath();
    c.moveTo(x + 0.5, row.top + row.height);
    c.lineTo(x + 0.5, last.top + last.height);
    c.globalAlpha = 0.7;
    c.stroke();
    c.globalAlpha = 1;
    c.setLineDash([]);
  }
  if (!signed) return;
  c.lineWidth = 1.75;
  c.beginPath();
  if (kind === "alert" || kind === "cleared") {
    c.moveTo(x - HALF, y - HALF);
    c.lineTo(x + HALF, y - HALF);
    c.lineTo(x, y + HALF);
    c.closePath();
    if (kind === "alert") c.fill();
  } else if (kind === "paused") {
    c.rect(x - 4, y - HALF, 2.5, 2 * HALF);
    c.rect(x + 1.5, y - HALF, 2.5, 2 * HALF);
    c.fill();
  } else if (kind === "dropped") {
    c.moveTo(x - 4, y - 4);
    c.lineTo(x + 4, y + 4);
    c.moveTo(x + 4, y - 4);
    c.lineTo(x - 4, y + 4);
  } else {
    c.arc(x, y, 4.5, -0.5, 4.6);
    c.moveTo(x - 4, y - 5.5);
    c.lineTo(x - 0.5, y - 4.6);
    c.lineTo(x - 2.4, y - 1.4);
  }
  c.stroke();
}
