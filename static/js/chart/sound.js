// What the chart shows of the sound itself: the waveform's extremes and a spectrogram of 0..8 kHz (what the detector hears), at several resolutions,
// bounded however long it runs: 11 MB for half an hour of sound, 16 for two hours, 23 for ten. Pure.
// Filled by live/listening.js (samples as they come) and files/picture.js (a decoded file); drawn by ribbon.js.
// @ts-check

import { Pyramid } from "./pyramid.js";
import { Spectrum } from "./fft.js";
import { CLIP_LEVEL } from "../live/pcm.js";

export const TOP_HZ = 8000; // the detector's sound has 16 kHz
export const ROWS = 128; // of the spectrogram, each TOP_HZ / ROWS wide
export const FLOOR_DB = -95; // a bin's power relative to a full-scale sine; what is 0 in the spectrogram
export const CEIL_DB = -20; // and what is 255

const WAVE_MS = 5;
const SPECTRUM_MS = 15;
const WAVE_MOST = 1 << 18; // columns: 22 minutes at 5 ms, 87 at 20 ms, 5.8 hours at 80 ms
const SPECTRUM_MOST = 1 << 15; // 8 minutes at 15 ms, 33 at 60 ms, 2.2 hours at 240 ms

const HIGH = 0, LOW = 1, CLIPPED = 2;

/** What one stretch of the waveform holds: -1..1. @typedef {{low: number, high: number, clipped: boolean}} Extremes */

export class Sound {
  /** @param {number} rate */
  constructor(rate) {
    this.rate = rate;
    this.samples = 0;
    this.wave = new Pyramid(3, WAVE_MOST);
    this.spectrogram = new Pyramid(ROWS, SPECTRUM_MOST);
    const size = 2 ** Math.round(Math.log2(rate * 0.025));
    this.spectrum = new Spectrum(Math.min(4096, Math.max(64, size)));
    this.frame = new Float32Array(this.spectrum.size); // the newest samples, oldest first
    this.power = new Float32Array(this.spectrum.half + 1);
    this.waveColumn = new Uint8Array(3);
    this.column = new Uint8Array(ROWS);
    this.bands = bandsOf(rate, this.spectrum.size);
    this.#reset();
  }

  get duration_ms() {
    return (this.samples * 1000) / this.rate;
  }

  get size_bytes() {
    return this.wave.size_bytes + this.spectrogram.size_bytes;
  }

  #low = 0;
  #high = 0;
  #clipped = 0;

  #reset() {
    this.#low = this.#high = this.#clipped = 0;
  }

  /** @param {Float32Array} samples the next audio, mono, at `rate` */
  push(samples) {
    let done = 0;
    while (done < samples.length) {
      // Borders are multiples of a duration, not of a count of samples, so that columns never drift against the axis.
      const wave = this.#border(this.wave.count + 1, WAVE_MS);
      const spectrum = this.#border(this.spectrogram.count + 1, SPECTRUM_MS);
      const count = Math.min(samples.length - done, wave - this.samples, spectrum - this.samples);
      const part = samples.subarray(done, done + count);
      this.#extremes(part);
      this.#slide(part);
      this.samples += count;
      done += count;
      if (this.samples === wave) this.#endWave();
      if (this.samples === spectrum) this.#endSpectrum();
    }
  }

  /**
   * The waveform's extremes in a stretch; null where nothing is known.
   * @param {number} from_ms
   * @param {number} to_ms
   * @returns {Extremes | null}
   */
  extremes(from_ms, to_ms) {
    if (!this.wave.read(from_ms / WAVE_MS, to_ms / WAVE_MS, this.waveColumn)) return null;
    const [high, low, clipped] = this.waveColumn;
    return { high: (high - 128) / 127, low: (128 - low) / 127, clipped: clipped > 0 };
  }

  /**
   * A column of the spectrogram, lowest band first, 0..255 from FLOOR_DB to CEIL_DB; false where nothing is known.
   * @param {number} from_ms
   * @param {number} to_ms
   * @param {Uint8Array} out ROWS values
   */
  bandsAt(from_ms, to_ms, out) {
    const half = this.spectrum.size / 2 / this.rate * 1000; // a column speaks for the middle of the samples it was made from, which lie before its end
    return this.spectrogram.read((from_ms + half) / SPECTRUM_MS, (to_ms + half) / SPECTRUM_MS, out);
  }

  /** @param {number} count @param {number} ms */
  #border(count, ms) {
    return Math.round((count * ms * this.rate) / 1000);
  }

  /** @param {Float32Array} part */
  #extremes(part) {
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < part.length; i++) {
      const value = part[i];
      if (value > high) high = value;
      else if (value < low) low = value;
    }
    this.#low = low;
    this.#high = high;
    if (high >= CLIP_LEVEL || -low >= CLIP_LEVEL) this.#clipped = 1;
  }

  #endWave() {
    // Rounded outwards, so that a quiet sound stays visible and 0 stays 0.
    this.waveColumn[HIGH] = 128 + Math.min(127, Math.ceil(this.#high * 127));
    this.waveColumn[LOW] = 128 + Math.min(127, Math.ceil(-this.#low * 127));
    this.waveColumn[CLIPPED] = this.#clipped;
    this.wave.push(this.waveColumn);
    this.#reset();
  }

  /** @param {Float32Array} part */
  #slide(part) {
    const { frame } = this;
    if (part.length >= frame.length) return frame.set(part.subarray(part.length - frame.length));
    frame.copyWithin(0, part.length);
    frame.set(part, frame.length - part.length);
  }

  #endSpectrum() {
    const { power, bands, column } = this;
    this.spectrum.power(this.frame, power);
    for (let row = 0; row < ROWS; row++) {
      let most = 0;
      for (let bin = bands[2 * row]; bin <= bands[2 * row + 1]; bin++) if (power[bin] > most) most = power[bin];
      const db = most > 0 ? 10 * Math.log10(most) : -Infinity;
      column[row] = Math.max(0, Math.min(255, Math.round(((db - FLOOR_DB) / (CEIL_DB - FLOOR_DB)) * 255))); // NaN becomes 0
    }
    this.spectrogram.push(column);
  }
}

/**
 * The first and the last bin of every row; none (1, 0) above half the rate.
 * @param {number} rate @param {number} size
 */
function bandsOf(rate, size) {
  const bands = new Uint16Array(2 * ROWS);
  for (let row = 0; row < ROWS; row++) {
    const [from_hz, to_hz] = [(row * TOP_HZ) / ROWS, ((row + 1) * TOP_HZ) / ROWS];
    const first = Math.round((from_hz * size) / rate);
    const last = Math.max(first, Math.round((to_hz * size) / rate) - 1);
    bands.set(from_hz >= rate / 2 ? [1, 0] : [first, Math.min(size / 2, last)], 2 * row);
  }
  return bands;
}
