// Hears of each batch how loud it was, and tells when there is nothing to hear for long, and while the sound is clipped. Pure; time is that of the sound. Used by live.js.
// @ts-check

const SILENT_DBFS = -70; // peaks below it: no room is so quiet; a switch, a wrong device or a tab that plays nothing is
const SILENT_MS = 5000;
const CLIP_SHARE = 0.002; // of the samples, as the server counts it: a few peaks at full scale are no harm
const CLIP_OVER_MS = 1000;
const CLIP_HOLD_MS = 2500; // so long it is said after the last clipped second: words that blink are not read

export class Ear {
  #quiet_ms = 0;
  #lately_ms = 0;
  #lately = 0;
  #clipLeft_ms = 0;

  /** @returns {boolean} */
  get silent() {
    return this.#quiet_ms >= SILENT_MS;
  }

  /** @returns {boolean} */
  get clipped() {
    return this.#clipLeft_ms > 0;
  }

  /** @param {{peak_dbfs: number, clipped: number}} levels `clipped`: share of the samples at full scale @param {number} ms how long the batch is */
  hear({ peak_dbfs, clipped }, ms) {
    this.#quiet_ms = peak_dbfs < SILENT_DBFS ? this.#quiet_ms + ms : 0;
    // A mean over about a second, that forgets evenly.
    const kept = Math.max(0, 1 - ms / CLIP_OVER_MS);
    this.#lately = this.#lately * kept + clipped * ms;
    this.#lately_ms = this.#lately_ms * kept + ms;
    this.#clipLeft_ms = this.#lately / this.#lately_ms > CLIP_SHARE ? CLIP_HOLD_MS : Math.max(0, this.#clipLeft_ms - ms);
  }

  /** Something else is listened to, or it was not listened at all for a while. */
  rest() {
    this.#quiet_ms = this.#lately = this.#lately_ms = this.#clipLeft_ms = 0;
  }
}
