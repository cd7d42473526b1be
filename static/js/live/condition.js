// What is odd right now about the connection, the source or the sound, and which of it is said: one thing at a time, the one to act on first. Pure. Used by live.js.
// @ts-check

/**
 * @typedef {"waiting" | "connecting" | "suspended" | "muted" | "silent" | "silentTab" | "held" | "behind" | "clipped" | "back"} Kind
 * @typedef {{kind: Kind, at: number, retry_in_ms?: number, behind_ms?: number}} Status `at`: performance.now() when it began
 */

/** @type {Kind[]} what makes everything below it pointless, or explains it, comes first */
const ORDER = ["waiting", "connecting", "suspended", "muted", "back", "silent", "silentTab", "held", "behind", "clipped"];
const BACK_MS = 4000; // news for so long; while what was kept is sent, verdicts are late for a good reason

export class Condition {
  /** @type {Map<Kind, Status>} */ #now = new Map();

  /** @param {() => number} [clock] ms */
  constructor(clock = () => performance.now()) {
    this.clock = clock;
  }

  /**
   * @param {Kind} kind
   * @param {{retry_in_ms?: number, behind_ms?: number} | false} facts false: it is over
   */
  set(kind, facts = {}) {
    if (facts === false) this.#now.delete(kind);
    else this.#now.set(kind, { kind, at: this.#now.get(kind)?.at ?? this.clock(), ...facts });
  }

  /** The connection has one state at a time. @param {"waiting" | "connecting" | "back"} kind @param {object} [facts] */
  link(kind, facts) {
    for (const other of /** @type {Kind[]} */ (["waiting", "connecting", "back"])) this.#now.delete(other);
    this.set(kind, facts);
  }

  /** @param {Kind} kind */
  has(kind) {
    return this.#now.has(kind);
  }

  /** @returns {Status | null} */
  get said() {
    const back = this.#now.get("back");
    if (back && this.clock() - back.at > BACK_MS) this.#now.delete("back");
    const first = ORDER.find((kind) => this.#now.has(kind));
    return first ? /** @type {Status} */ (this.#now.get(first)) : null;
  }
}
