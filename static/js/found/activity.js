// How much of each hop was speech, of one channel: what the speech track draws. Pure. Used by history.js.
//
// The running verdict counts every stretch of speech once, so while listening its difference is the hop's speech, exactly. A file's answer has only its
// windows, which overlap: a hop's speech is what the window holds beyond the hops already known. That is exact while the windows grow. Later it is close
// and does not drift, because every window's sum is made right by its newest hop; it cannot be exact, since the halves of the first second were never
// told apart, and since a window does not know the speech in its own last tenth of a second (the detector's right context).
// Old hops are joined in pairs, so that hours stay a few thousand; a joined one holds the sum, which loses nothing.
// @ts-check

import { thinned } from "./thinning.js";

/** @typedef {{from_ms: number, to_ms: number, speech_ms: number, hops: number, sure: boolean}} Hop */

const MOST_HOPS = 4096;
const KEPT_FINE = 1024; // the newest, never joined
const TOUCH_MS = 2; // borders are rounded to milliseconds

export class Activity {
  constructor(most = MOST_HOPS, keptFine = KEPT_FINE) {
    this.most = most;
    /** @type {Hop[]} in order of time, not always touching */
    this.hops = [];
    /** @type {import("./thinning.js").Rule<Hop>} */
    this._rule = { most, keptFine, level: 1, size: (hop) => hop.hops, join: joined };
    this._start_ms = 0; // of the session: where its growing windows begin
    this._counted = 0; // the running verdict's speech so far
  }

  /** @param {{start_ms: number, end_ms: number, speech_ms: number}} segment */
  add({ start_ms, end_ms, speech_ms }) {
    const last = this.hops.at(-1);
    const apart = !last || start_ms >= last.to_ms - TOUCH_MS; // the first window, or one of a new session
    if (apart) {
      this._start_ms = start_ms;
      this._counted = 0;
    }
    const from_ms = apart ? start_ms : last.to_ms;
    if (end_ms <= from_ms) return;
    const fresh = speech_ms - (apart ? 0 : this.between(start_ms, from_ms));
    this.hops.push({ from_ms, to_ms: end_ms, speech_ms: fresh, hops: 1, sure: start_ms === this._start_ms });
    // More than there is room for, or less than nothing: then one before it has got too little or too much, most likely the one just before.
    for (let i = this.hops.length - 1, over = 0; i >= 0 && this.hops[i].from_ms >= start_ms; i--) {
      const hop = this.hops[i];
      if (hop.sure && i < this.hops.length - 1) continue;
      const wanted = hop.speech_ms + over;
      hop.speech_ms = Math.min(hop.to_ms - hop.from_ms, Math.max(0, wanted));
      over = wanted - hop.speech_ms;
      if (!over) break;
    }
    if (this.hops.length > this.most) this.hops = thinned(this.hops, this._rule);
  }

  /**
   * The running verdict after the newest segment: all speech of the session so far, each stretch counted once.
   * @param {{as_of_ms: number, speech_ms: number}} verdict
   */
  counted({ as_of_ms, speech_ms }) {
    const last = this.hops.at(-1);
    const fresh = speech_ms - this._counted;
    this._counted = speech_ms;
    if (!last || as_of_ms !== last.to_ms || fresh < 0) return;
    // The last window of all knows its right context, too, so it may count more than its own time holds: that was said just before.
    for (let i = this.hops.length - 1, over = fresh; i >= 0 && (over || i === this.hops.length - 1); i--) {
      const hop = this.hops[i];
      const said = over + (hop === last ? 0 : hop.speech_ms);
      hop.speech_ms = Math.min(hop.to_ms - hop.from_ms, said);
      over = said - hop.speech_ms;
    }
    last.sure = true;
  }

  /**
   * The speech in a stretch; a hop that lies in it with a part counts with that part.
   * @param {number} from_ms
   * @param {number} to_ms
   */
  between(from_ms, to_ms) {
    let sum = 0;
    for (let i = this.hops.length - 1; i >= 0 && this.hops[i].to_ms > from_ms; i--) {
      const hop = this.hops[i];
      const shared = Math.min(hop.to_ms, to_ms) - Math.max(hop.from_ms, from_ms);
      if (shared > 0) sum += (hop.speech_ms * shared) / (hop.to_ms - hop.from_ms);
    }
    return sum;
  }
}

/** @param {Hop} a @param {Hop} b @returns {Hop | null} */
function joined(a, b) {
  if (a.to_ms < b.from_ms - TOUCH_MS) return null;
  return { from_ms: a.from_ms, to_ms: b.to_ms, speech_ms: a.speech_ms + b.speech_ms, hops: a.hops + b.hops, sure: a.sure && b.sure };
}
