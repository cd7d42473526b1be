// Named timeouts, at most one of a name, over an injected clock. Used by stream.js and main.js.
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
    /** @type {Map<string, any>} */
    this._running = new Map();
  }

  /** @param {string} name @param {number} ms @param {() => void} act */
  after(name, ms, act) {
    this.stop(name);
    this._running.set(name, this.clock.setTimeout(() => {
      this._running.delete(name);
      act();
    }, ms));
  }

  /** @param {...string} names none: all */
  stop(...names) {
    for (const name of names.length ? names : [...this._running.keys()]) {
      this.clock.clearTimeout(this._running.get(name));
      this._running.delete(name);
    }
  }
}
