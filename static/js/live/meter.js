// The level meter: a bar that follows the sound and falls calmly, with a peak that is held. `Ballistics` is pure; `Meter` draws it. Used by listening.js.
// @ts-check

import { FLOOR_DBFS } from "./pcm.js";

export const BOTTOM_DBFS = -60;
const FALL_DB_S = 24;
const HOLD_MS = 1200;
const CLIP_DBFS = -0.2;
const PAUSE_MS = 30; // and up to a frame more

export class Ballistics {
  rms_dbfs = FLOOR_DBFS;
  peak_dbfs = FLOOR_DBFS;
  clipped = false;
  #peakAt = 0;
  #clipAt = -Infinity;
  #at = 0;

  /** @param {{peak_dbfs: number, rms_dbfs: number}} levels @param {number} now ms */
  hear({ peak_dbfs, rms_dbfs }, now) {
    this.fall(now);
    this.rms_dbfs = Math.max(this.rms_dbfs, rms_dbfs);
    if (peak_dbfs >= this.peak_dbfs) {
      this.peak_dbfs = peak_dbfs;
      this.#peakAt = now;
    }
    if (peak_dbfs >= CLIP_DBFS) this.#clipAt = now;
    this.clipped = now - this.#clipAt < HOLD_MS;
  }

  /** @param {number} now ms */
  fall(now) {
    const down = (FALL_DB_S * Math.max(0, now - this.#at)) / 1000;
    this.#at = now;
    this.rms_dbfs = Math.max(FLOOR_DBFS, this.rms_dbfs - down);
    if (now - this.#peakAt > HOLD_MS) this.peak_dbfs = Math.max(FLOOR_DBFS, this.peak_dbfs - down);
    this.clipped = now - this.#clipAt < HOLD_MS;
  }
}

/** @param {number} dbfs 0..1 on the meter */
export function share(dbfs) {
  return Math.min(1, Math.max(0, 1 - dbfs / BOTTOM_DBFS));
}

export class Meter {
  /**
   * @param {{bar: HTMLElement, peak: HTMLElement, value: HTMLElement, root: HTMLElement}} parts
   * @param {(dbfs: number | null) => string} text
   */
  constructor(parts, text) {
    this.parts = parts;
    this.text = text;
    this.ballistics = new Ballistics();
    this.running = false;
    this.saidAt = 0;
  }

  /** @param {{peak_dbfs: number, rms_dbfs: number}} levels */
  hear(levels) {
    this.ballistics.hear(levels, performance.now());
    if (!this.running) {
      this.running = true;
      this.next();
    }
  }

  /** Some 25 drawings a second: at 60 the page spends more on its meter than on its chart, and nobody sees the difference. */
  next() {
    setTimeout(() => requestAnimationFrame(this.draw), PAUSE_MS);
  }

  /** The microphone is off: the bar falls to its end and drawing stops. */
  rest() {
    this.ballistics = new Ballistics();
  }

  draw = () => {
    const now = performance.now();
    this.ballistics.fall(now);
    const { rms_dbfs, peak_dbfs, clipped } = this.ballistics;
    const { bar, peak, value, root } = this.parts;
    bar.style.transform = `scaleX(${share(rms_dbfs).toFixed(3)})`;
    peak.style.transform = share(peak_dbfs) ? `translateX(${(share(peak_dbfs) * 99.5).toFixed(1)}%)` : "";
    root.classList.toggle("clipped", clipped);
    const silent = peak_dbfs <= BOTTOM_DBFS && rms_dbfs <= BOTTOM_DBFS;
    if (now - this.saidAt > 250 || silent) {
      this.saidAt = now; // figures that change with every frame cannot be read
      value.textContent = this.text(silent ? null : peak_dbfs);
      root.setAttribute("aria-valuenow", String(Math.round(Math.max(BOTTOM_DBFS, peak_dbfs))));
    }
    this.running = !silent;
    if (this.running) this.next();
  };
}
