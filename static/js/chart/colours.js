// The spectrogram's colours: lightness runs evenly from the ground to the far end, so that louder always looks stronger, also in grey and to every kind
// of colour blindness (the hues are blues, and on dark ground yellow at the far end). Computed in OKLab (Björn Ottosson, 2020), one table of 256 a theme. Pure.
// @ts-check

const STEPS = 256;

/**
 * @typedef {{light: number, chroma: number, hue: number}} Stop lightness 0..1, chroma, hue in degrees
 */

/** On dark ground: from nearly black over blue and violet-grey to pale yellow. @type {Stop[]} */
const DARK = [
  { light: 0.2, chroma: 0.012, hue: 255 },
  { light: 0.38, chroma: 0.075, hue: 262 },
  { light: 0.58, chroma: 0.07, hue: 290 },
  { light: 0.78, chroma: 0.1, hue: 75 },
  { light: 0.96, chroma: 0.09, hue: 98 },
];

/** On light ground: from white over pale and full blue to a deep navy. @type {Stop[]} */
const LIGHT = [
  { light: 1, chroma: 0, hue: 220 },
  { light: 0.88, chroma: 0.03, hue: 215 },
  { light: 0.66, chroma: 0.085, hue: 232 },
  { light: 0.45, chroma: 0.11, hue: 256 },
  { light: 0.2, chroma: 0.08, hue: 275 },
];

/** @param {boolean} dark @returns {Uint32Array} 256 pixels as an ImageData holds them, read as little-endian words */
export function ramp(dark) {
  const stops = (dark ? DARK : LIGHT).map(({ light, chroma, hue }) => [light, chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180)]);
  return Uint32Array.from({ length: STEPS }, (_, i) => {
    const at = i / (STEPS - 1);
    // Lightness is a straight line over the whole table; the colour runs between the stops by lightness.
    const light = stops[0][0] + (stops[stops.length - 1][0] - stops[0][0]) * at;
    const after = Math.max(1, stops.findIndex((stop) => (dark ? stop[0] >= light : stop[0] <= light)));
    const [low, high] = [stops[after - 1], stops[after]];
    const part = Math.min(1, Math.max(0, (light - low[0]) / (high[0] - low[0])));
    const [r, g, b] = rgb(light, low[1] + (high[1] - low[1]) * part, low[2] + (high[2] - low[2]) * part);
    return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
}

/**
 * OKLab to sRGB bytes.
 * @param {number} light @param {number} a @param {number} b
 */
export function rgb(light, a, b) {
  const l = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (light - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((v) => Math.round(255 * Math.min(1, Math.max(0, v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055))));
}
