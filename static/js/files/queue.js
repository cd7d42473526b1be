// Which file is sent when: a line of jobs, one upload at a time, that waits when the server asks for it and then goes on by itself. Pure: the clock is given.
//
// One at a time, because all uploads share one line out of the house and the server judges one file with everything it has: two at once would both come
// later than one after the other, and a live recording would have to share with both.
// In: add, cancel, release. Out: `run` is called with each job in its turn, `onFailed` for those that will not go, `onChange` when the line or its hold is
// new. A trouble of one file never stops the others; a trouble of the server holds the line, and the same file is tried again. Used by files.js.
// @ts-check

import { Trouble } from "../found/trouble.js";
import { wantsKey } from "../live/keyring.js";

export const MOST_WAITING = 100; // files in line: as many as the visit's list holds
const HOLD_MS = [1000, 2000, 5000, 10_000, 20_000, 30_000]; // the least pause when a server refuses again and again
const LONGEST_TIMER_MS = 3_600_000; // a timer of more than 24 days would fire at once
const MOST_UNREACHABLE = 3; // a server that does not answer is tried so often; one that says when to come again, for as long as it says so
/** Troubles that are about the server and not about this file. */
const HOLDS = new Set(["full", "limited", "quota", "unready", "unreachable"]);

/**
 * @template Job
 * @typedef {{
 *   run: (job: Job, signal: AbortSignal) => Promise<void>,
 *   onFailed?: (job: Job, trouble: Trouble) => void,
 *   onChange?: () => void,
 *   mayStart?: () => boolean,
 *   most?: number,
 *   clock?: {now: () => number, setTimeout: (act: () => void, ms: number) => any, clearTimeout: (id: any) => void},
 * }} Options `run` rejects with a Trouble; `mayStart` false: not now (then `go` when it may)
 */

/** @template Job */
export class Queue {
  /** @type {Job[]} in the order they are sent */ waiting = [];
  /** @type {Job | null} */ running = null;
  /** @type {Trouble | null} what the line waits for */ held = null;
  /** clock.now() when the line goes on; Infinity: when it is released */ held_until = 0;
  #holds = 0;
  /** @type {AbortController | null} */ #abort = null;
  /** @type {any} */ #timer;

  /** @param {Options<Job>} options */
  constructor({ run, onFailed = () => {}, onChange = () => {}, mayStart = () => true, most = MOST_WAITING, clock }) {
    this.run = run;
    this.onFailed = onFailed;
    this.onChange = onChange;
    this.mayStart = mayStart;
    this.most = most;
    this.clock = clock ?? {
      now: () => performance.now(),
      setTimeout: (act, ms) => setTimeout(act, ms),
      clearTimeout: (id) => clearTimeout(id),
    };
  }

  /** How many more may be added. */
  get room() {
    return Math.max(0, this.most - this.waiting.length);
  }

  /** Puts jobs at the end of the line, as many as there is room for. @param {Job[]} jobs @returns {Job[]} those taken */
  add(jobs) {
    const taken = jobs.slice(0, this.room);
    this.waiting.push(...taken);
    this.go();
    this.onChange();
    return taken;
  }

  /** Takes a job out of the line, or stops its upload. @param {Job} job */
  cancel(job) {
    if (job === this.running) this.#abort?.abort();
    this.waiting = this.waiting.filter((one) => one !== job);
    if (!this.waiting.length && !this.running) this.#unhold();
    this.onChange();
  }

  /** Empties the line; what is being sent goes on. @returns {Job[]} those that waited */
  cancelWaiting() {
    const waited = this.waiting;
    this.waiting = [];
    if (!this.running) this.#unhold();
    this.onChange();
    return waited;
  }

  /** What was in the way is gone (a key was given, the person says "now"). */
  release() {
    this.#holds = 0;
    this.#unhold();
    this.go();
    this.onChange();
  }

  /** Starts the next, if one may. */
  go() {
    if (this.running || this.held || !this.waiting.length || !this.mayStart()) return;
    void this.#start(/** @type {Job} */ (this.waiting.shift()));
  }

  /** @param {Job} job */
  async #start(job) {
    const { signal } = (this.#abort = new AbortController());
    this.running = job;
    /** @type {Trouble | null} */
    let trouble = null;
    try {
      await this.run(job, signal);
    } catch (error) {
      trouble = error instanceof Trouble ? error : new Trouble("other", { fact: String(error), wait_ms: 0 });
    }
    this.running = this.#abort = null;
    if (trouble && this.#holdsFor(trouble) && !signal.aborted) {
      this.waiting.unshift(job);
      this.#hold(trouble);
    } else {
      if (trouble?.key !== "unreachable") this.#holds = 0;
      if (trouble) this.onFailed(job, trouble);
      this.go();
    }
    this.onChange();
  }

  /** @param {Trouble} trouble */
  #holdsFor({ key }) {
    return (HOLDS.has(key) || wantsKey({ key })) && (key !== "unreachable" || this.#holds < MOST_UNREACHABLE);
  }

  /** @param {Trouble} trouble */
  #hold(trouble) {
    const least_ms = HOLD_MS[Math.min(this.#holds++, HOLD_MS.length - 1)];
    const forKey = wantsKey(trouble);
    this.held = trouble;
    this.held_until = forKey ? Infinity : this.clock.now() + Math.max(trouble.wait_ms ?? 0, least_ms);
    if (!forKey) this.#wake();
  }

  #wake() {
    const left_ms = this.held_until - this.clock.now();
    this.#timer = this.clock.setTimeout(() => {
      if (this.clock.now() < this.held_until) return this.#wake();
      this.#unhold();
      this.go();
      this.onChange();
    }, Math.min(left_ms, LONGEST_TIMER_MS));
  }

  #unhold() {
    this.clock.clearTimeout(this.#timer);
    this.held = null;
    this.held_until = 0;
  }
}
