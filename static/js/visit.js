// Everything that was checked since the page was opened, newest first, and which of it is on show. In memory only: it ends with the page.
//
// Events: list {}          something came, went or was selected
//         change {check}   something of a check is new; at most once a frame and check (a hidden page gets no frames: it is told when it is seen again)
// @ts-check

const MOST_CHECKS = 100;

/** @typedef {import("./check.js").Check} Check */

export class Visit extends EventTarget {
  /** @type {Check[]} newest first */ checks = [];
  /** @type {Check | null} on show */ selected = null;
  /** @type {Set<Check>} */ #dirty = new Set();

  /** @param {{most?: number, nextFrame?: (act: () => void) => void}} [options] */
  constructor({ most = MOST_CHECKS, nextFrame = (act) => void requestAnimationFrame(act) } = {}) {
    super();
    this.most = most;
    this.nextFrame = nextFrame;
  }

  /** The recording that is going on, if one is. */
  get live() {
    return this.checks.find((check) => check.kind === "live" && check.running) ?? null;
  }

  /** @param {Check} check @param {boolean} [show] */
  add(check, show = true) {
    this.checks = [check, ...this.checks];
    for (const old of this.checks.slice(this.most)) if (!old.running && old !== this.selected) this.checks = this.checks.filter((one) => one !== old);
    if (show) this.selected = check;
    this.#tell("list", {});
    this.changed(check);
  }

  /** @param {Check | null} check */
  select(check) {
    if (check === this.selected) return;
    this.selected = check;
    this.#tell("list", {});
    if (check) this.changed(check);
  }

  /** @param {Check} check */
  remove(check) {
    this.checks = this.checks.filter((one) => one !== check);
    if (this.selected === check) this.selected = null;
    this.#tell("list", {});
  }

  /** @param {Check} check @param {Partial<Check>} [changes] */
  changed(check, changes = {}) {
    Object.assign(check, changes);
    if (!this.#dirty.size) this.nextFrame(() => this.#flush());
    this.#dirty.add(check);
  }

  #flush() {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const check of dirty) this.#tell("change", { check });
  }

  /** @param {string} name @param {object} detail */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
