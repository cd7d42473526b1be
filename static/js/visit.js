// Everything that was checked since the page was opened, newest first, and which of it is on show. In memory only: it ends with the page.
//
// Events: list {}          something came, went or was selected
//         change {check}   something of a check is new; at most once a frame and check (a hidden page gets no frames: it is told when it is seen again)
// @ts-check

export const MOST_CHECKS = 100;

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
    this.addAll([check], show ? check : null);
  }

  /** Several that came together stay in their own order. @param {Check[]} checks @param {Check | null} show which of them to put on show */
  addAll(checks, show) {
    if (show) this.selected = show;
    this.#keep([...checks, ...this.checks]);
    this.#tell("list", {});
    for (const check of checks) this.changed(check);
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
    this.take([check]);
  }

  /**
   * Takes checks away.
   * @param {Check[]} checks
   * @returns {() => void} puts them back where they were
   */
  take(checks) {
    const { selected } = this;
    const taken = this.checks.map((check, index) => ({ check, index })).filter(({ check }) => checks.includes(check));
    this.checks = this.checks.filter((check) => !checks.includes(check));
    if (selected && checks.includes(selected)) this.selected = null;
    this.#tell("list", {});
    const before = this.checks.length;
    return () => {
      const grown = this.checks.length - before; // what came since stands above them
      const all = [...this.checks];
      for (const { check, index } of taken) if (!all.includes(check)) all.splice(Math.min(Math.max(0, index + grown), all.length), 0, check);
      this.#keep(all);
      if (!this.selected && selected && this.checks.includes(selected)) this.selected = selected;
      this.#tell("list", {});
    };
  }

  /** The newest `most`; what is going on or on show is never dropped. @param {Check[]} checks newest first */
  #keep(checks) {
    this.checks = checks.filter((check, index) => index < this.most || check.running || check === this.selected);
  }

  /** @param {Check} check @param {Partial<Check>} [changes] */
  changed(check, changes = {}) {
    Object.assign(check, changes);
    check.ended_at = check.running || check.phase === "idle" ? null : (check.ended_at ?? new Date());
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
