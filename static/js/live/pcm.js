// Samples: Float32 -> s16 as it travels, and the two levels of a batch. Pure. Used by live.js and meter.js.
// @ts-check

/** The quietest level that is told from silence, in dB relative to full scale. */
export const FLOOR_DBFS = -100;
export const CLIP_LEVEL = 0.99; // as the server counts it (app/core/quality.py)

/**
 * s16 as the server reads it (divided by 32768). Every platform with a browser is little-endian, so the array's bytes are pcm_s16le.
 * @param {Float32Array} samples
 * @returns {Int16Array<ArrayBuffer>}
 */
export function toS16(samples) {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    const value = Math.round(samples[i] * 32768);
    out[i] = value > 32767 ? 32767 : value < -32768 ? -32768 : value; // NaN becomes 0
  }
  return out;
}

/**
 * @param {Float32Array} samples
 * @returns {{peak_dbfs: number, rms_dbfs: number, clipped: number}} `clipped`: share of the samples at full scale
 */
export function levels(samples) {
  let peak = 0;
  let power = 0;
  let full = 0;
  for (let i = 0; i < samples.length; i++) {
    const size = Math.abs(samples[i]);
    if (size > peak) peak = size;
    if (size >= CLIP_LEVEL) full++;
    power += size * size;
  }
  const { length } = samples;
  return { peak_dbfs: dbfs(peak), rms_dbfs: dbfs(length ? Math.sqrt(power / length) : 0), clipped: length ? full / length : 0 };
}

/** @param {number} amplitude */
export function dbfs(amplitude) {
  return amplitude > 0 ? Math.max(FLOOR_DBFS, 20 * Math.log10(amplitude)) : FLOOR_DBFS;
}
