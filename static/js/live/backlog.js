// The most recent audio, kept so that it can be sent late or sent again after a lost connection. Pure; owned by stream.js.
// Positions are absolute sample numbers since the recording began.
// @ts-check

export class Backlog {
  /** @param {number} limit samples kept, and up to one piece more; the oldest pieces go first */
  constructor(limit) {
    this.limit = limit;
    /** First sample still here. */
    this.start = 0;
    /** One past the newest sample. */
    this.end = 0;
    /** @type {{at: number, samples: Int16Array}[]} */
    this._pieces = [];
  }

  /** @param {Int16Array} samples */
  push(samples) {
    if (!samples.length) return;
    this._pieces.push({ at: this.end, samples });
    this.end += samples.length;
    this.forget(this.end - this.limit);
  }

  /**
   * Lets go of everything before `position`, a whole piece at a time.
   * @param {number} position
   */
  forget(position) {
    let count = 0;
    while (count < this._pieces.length && this._pieces[count].at + this._pieces[count].samples.length <= position) count++;
    if (count) this._pieces.splice(0, count);
    this.start = this._pieces.length ? this._pieces[0].at : this.end;
  }

  /**
   * Samples [from, to). What is no longer here comes as silence, so that time stays right; the owner says so.
   * @param {number} from
   * @param {number} to
   * @returns {Int16Array<ArrayBuffer>}
   */
  read(from, to) {
    const out = new Int16Array(to - from);
    for (const { at, samples } of this._pieces) {
      const first = Math.max(from, at);
      const last = Math.min(to, at + samples.length);
      if (first < last) out.set(samples.subarray(first - at, last - at), first - from);
    }
    return out;
  }
}
