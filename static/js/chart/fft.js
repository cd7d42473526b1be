// The power spectrum of a real signal: a complex transform of half the length over pairs of samples, then unravelled. Pure; tested against a plain
// DFT (tests/js/sound.test.mjs). Used by sound.js, some seventy times a second of sound, so every table is made once and nothing is allocated after.
// @ts-check

export class Spectrum {
  /** @param {number} size a power of two, at least 4 */
  constructor(size) {
    if (size < 4 || size & (size - 1)) throw new RangeError(`size must be a power of two, at least 4; got ${size}`);
    const half = (this.half = size / 2);
    this.size = size;
    this.re = new Float32Array(half);
    this.im = new Float32Array(half);
    this.cos = Float32Array.from({ length: half }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.sin = Float32Array.from({ length: half }, (_, k) => Math.sin((2 * Math.PI * k) / size));
    /** a Hann window, scaled so that a full-scale sine has power 1 at its bin */
    this.taper = Float32Array.from({ length: size }, (_, n) => ((1 - Math.cos((2 * Math.PI * n) / size)) * 2) / size);
    const bits = Math.log2(half);
    this.order = Uint32Array.from({ length: half }, (_, n) => {
      let turned = 0;
      for (let bit = 0; bit < bits; bit++) turned |= ((n >> bit) & 1) << (bits - 1 - bit);
      return turned;
    });
  }

  /**
   * |X[k]|² for k = 0..size/2 of `size` samples.
   * @param {Float32Array} samples
   * @param {Float32Array} power size/2 + 1 values, written here
   * @param {boolean} [tapered] whether the samples pass through the Hann window
   */
  power(samples, power, tapered = true) {
    const { half, re, im, cos, sin, taper, order } = this;
    for (let n = 0; n < half; n++) {
      const to = order[n];
      re[to] = tapered ? samples[2 * n] * taper[2 * n] : samples[2 * n];
      im[to] = tapered ? samples[2 * n + 1] * taper[2 * n + 1] : samples[2 * n + 1];
    }
    for (let width = 1; width < half; width *= 2) {
      const stride = half / width; // in the table of cosines, which has two entries a step of this transform
      for (let base = 0; base < half; base += 2 * width) {
        for (let k = 0; k < width; k++) {
          const c = cos[k * stride];
          const s = -sin[k * stride];
          const low = base + k;
          const high = low + width;
          const r = re[high] * c - im[high] * s;
          const i = re[high] * s + im[high] * c;
          re[high] = re[low] - r;
          im[high] = im[low] - i;
          re[low] += r;
          im[low] += i;
        }
      }
    }
    power[0] = (re[0] + im[0]) ** 2;
    power[half] = (re[0] - im[0]) ** 2;
    for (let k = 1; k < half; k++) {
      const mirror = half - k;
      const evenRe = (re[k] + re[mirror]) / 2;
      const evenIm = (im[k] - im[mirror]) / 2;
      const oddRe = (im[k] + im[mirror]) / 2;
      const oddIm = (re[mirror] - re[k]) / 2;
      const r = evenRe + oddRe * cos[k] + oddIm * sin[k];
      const i = evenIm + oddIm * cos[k] - oddRe * sin[k];
      power[k] = r * r + i * i;
    }
  }
}
