// A canvas made ready for one drawing: as many device pixels as it covers, cleared, one unit a CSS pixel. Used by chart.js, overlay.js and overview.js.
// @ts-check

/**
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2D} context
 * @returns {{width: number, height: number, dpr: number} | null} CSS pixels; null when it is not on show
 */
export function prepared(canvas, context) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const dpr = window.devicePixelRatio || 1;
  const [wide, tall] = [Math.round(width * dpr), Math.round(height * dpr)];
  if (canvas.width !== wide || canvas.height !== tall) {
    canvas.width = wide;
    canvas.height = tall;
  }
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, wide, tall);
  context.setTransform(dpr, 0, 0, dpr, 0, 0);
  return { width, height, dpr };
}
