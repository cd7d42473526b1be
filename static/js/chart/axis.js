// Which stretch of time is on show, and where a time lies in pixels: following the newest sound, zoomed, moved, or all of it. Pure. Used by chart.js.
//
// `total_ms` is how long the recording is so far, `live` whether it still grows. The stretch always lies within what there is, with one exception: while
// listening it is never shorter than FOLLOW_MS at its right end, so that the first seconds do not race over the screen.
// @ts-check

export const FOLLOW_MS = 30_000;
export const LEAST_MS = 500;

export class Axis {
  from_ms = 0;
  span_ms = FOLLOW_MS;
  total_ms = 0;
  live = false;
  /** the newest sound stays in sight */
  following = false;
  /** all of it stays in sight, however long it becomes */
  fitting = true;

  get to_ms() {
    return this.from_ms + this.span_ms;
  }

  /** The longest stretch there is to show. While it grows, rounded up by some hundredths: who looks at all of it need not see it drawn anew all the time. */
  get whole_ms() {
    if (!this.live) return this.total_ms ? Math.max(LEAST_MS, this.total_ms) : FOLLOW_MS;
    const step = 2 ** Math.ceil(Math.log2(Math.max(FOLLOW_MS, this.total_ms))) / 64;
    return this.total_ms <= FOLLOW_MS ? FOLLOW_MS : Math.ceil(this.total_ms / step) * step;
  }

  /** @param {number} total_ms @param {boolean} live */
  grow(total_ms, live) {
    const [begins, ends] = [live && !this.live, !live && this.live];
    this.live = live;
    this.total_ms = total_ms;
    if (begins) this.follow();
    if (ends && this.following) this.fit(); // now all of it
    if (this.fitting) this.#put(0, this.whole_ms);
    else if (this.following) this.#put(Math.max(0, total_ms - this.span_ms), this.span_ms);
    else this.#put(this.from_ms, this.span_ms);
  }

  follow() {
    const span = this.fitting ? FOLLOW_MS : Math.min(this.span_ms, FOLLOW_MS);
    this.following = true;
    this.fitting = false;
    this.#put(Math.max(0, this.total_ms - span), span);
  }

  fit() {
    this.following = false;
    this.fitting = true;
    this.#put(0, this.whole_ms);
  }

  /**
   * A factor over 1 shows more time, one below 1 less; `at_ms` keeps its place. The newest sound keeps being followed.
   * @param {number} factor
   * @param {number} [at_ms]
   */
  zoom(factor, at_ms = this.following ? this.total_ms : this.from_ms + this.span_ms / 2) {
    const span = Math.min(this.whole_ms, Math.max(LEAST_MS, this.span_ms * factor));
    const share = (at_ms - this.from_ms) / this.span_ms;
    this.fitting = span >= this.whole_ms && !this.following;
    if (this.following) this.#put(this.total_ms - span, span);
    else this.#put(at_ms - share * span, span);
  }

  /** @param {number} by_ms forwards, or back when below 0 */
  pan(by_ms) {
    if (this.span_ms >= this.whole_ms) return;
    this.following = this.fitting = false;
    this.#put(this.from_ms + by_ms, this.span_ms);
    if (this.live && by_ms > 0 && this.to_ms >= this.total_ms) this.following = true; // arrived at the newest
  }

  /** @param {number} from_ms @param {number} to_ms with a little room around it */
  reveal(from_ms, to_ms) {
    const span = Math.min(this.whole_ms, Math.max(LEAST_MS, (to_ms - from_ms) * 1.3));
    this.following = false;
    this.fitting = span >= this.whole_ms;
    this.#put((from_ms + to_ms - span) / 2, span);
  }

  /** Moves only as far as needed for `at_ms` to be in sight. @param {number} at_ms */
  keep(at_ms) {
    const room = this.span_ms * 0.05;
    if (at_ms < this.from_ms) this.pan(at_ms - room - this.from_ms);
    else if (at_ms > this.to_ms) this.pan(at_ms + room - this.to_ms);
  }

  /** @param {number} from_ms @param {number} span_ms */
  #put(from_ms, span_ms) {
    this.span_ms = Math.min(span_ms, this.whole_ms);
    this.from_ms = Math.max(0, Math.min(from_ms, this.whole_ms - this.span_ms));
  }
}

/** A stretch of time on a stretch of pixels. */
export class Scale {
  /** @param {number} from_ms @param {number} to_ms @param {number} left @param {number} right */
  constructor(from_ms, to_ms, left, right) {
    this.from_ms = from_ms;
    this.to_ms = to_ms;
    this.left = left;
    this.right = right;
    this.px_ms = (to_ms - from_ms) / Math.max(1, right - left);
  }

  /** Pixels of a time, held within the stretch. @param {number} ms */
  x = (ms) => this.left + (Math.min(this.to_ms, Math.max(this.from_ms, ms)) - this.from_ms) / this.px_ms;

  /** The same, on whole device pixels: neighbours then meet without a seam. @param {number} ms @param {number} dpr */
  snapped(ms, dpr) {
    return Math.round(this.x(ms) * dpr) / dpr;
  }

  /** The time of a pixel, held within the stretch. @param {number} x */
  ms(x) {
    return this.from_ms + (Math.min(this.right, Math.max(this.left, x)) - this.left) * this.px_ms;
  }
}

const FINE_MS = [10, 20, 50, 100, 200, 500];

/**
 * Round times for tick marks under a second apart; [] where whole seconds do.
 * @param {number} from_ms @param {number} to_ms @param {number} most
 */
export function fineTicks(from_ms, to_ms, most) {
  const step = FINE_MS.find((ms) => (to_ms - from_ms) / ms <= most);
  if (!step) return [];
  return Array.from({ length: Math.floor(to_ms / step) - Math.ceil(from_ms / step) + 1 }, (_, i) => (Math.ceil(from_ms / step) + i) * step);
}
