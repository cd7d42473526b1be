// What the chart shows of the sound itself: the waveform's extremes and a spectrogram, at several resolutions, bounded however long it runs. Pure.
// Filled by live/listening.js (samples as they come) and files/files.js (a decoded file); drawn by chart.js.
// @ts-check

export class Sound {
  /** @param {number} rate */
  constructor(rate) {
    this.rate = rate;
    this.duration_ms = 0;
  }

  /** @param {Float32Array} samples the next audio, mono, at `rate` */
  push(samples) {
    this.duration_ms += (samples.length * 1000) / this.rate;
  }
}
