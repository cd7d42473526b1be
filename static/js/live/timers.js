// Named timeouts, at most one of a name, over an injected clock. `catchUp` runs what is overdue: browsers slow the timers of a page nobody looks at, down to once
// a minute, but not its audio, so whoever gets audio can keep time by it. Used by stream.js.
// @ts-check

/**
 * @typedef {{now(): number, setTimeout(act: () => void, ms: number): any, clearTimeout(id: any): void}} Clock
 */

/** @type {Clock} */
export const realClock = { now: () => performance.now(), setTimeout: (act, ms) => setTimeout(act, ms), clearTimeout: (id) => clearTimeout(id) };

export class Timers {
  /** @param {Clock} clock */
  constructor(clock = realClock) {
    this.clock = clock;
    /** @type {Map<string, {id: any, due: number, act: () => void}>} */
    this._running = new Map();
  }

  /** @param {string} name @param {number} ms @param {() => void} act */
  after(name, ms, act) {
    this.stop(name);
    const run = () => {
      this._running.delete(name);
      act();
    };
    this._running.set(name, { id: this.clock.setTimeout(run, ms), due: this.clock.now() + ms, act: run });
  }

  catchUp() {
    const now = this.clock.now();
    for (const [name, { id, due, act }] of [...this._running]) {
      if (due > now || this._running.get(name)?.id !== id) continue;
      this.clock.clearTimeout(id);
      act();
    }
  }

  /** @param {...string} names none: all */
  stop(...names) {
    for (const name of names.length ? names : [...this._running.keys()]) {
      this.clock.clearTimeout(this._running.get(name)?.id);
      this._running.delete(name);
    }
  }
}
