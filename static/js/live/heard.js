// What has been heard of a session. A server that was killed had said more than the one that goes on with the session knows: that one says it
// again, with new numbers. No DOM. Used by stream.js.
// @ts-check

const MOST_KEPT = 1024;

export class Heard {
  lastSeq = 0;
  /** @type {Set<string>} oldest first */ #known = new Set();

  /**
   * @param {any} message
   * @returns {boolean} whether it was heard before; it counts as heard from now on
   */
  again(message) {
    this.lastSeq = Math.max(this.lastSeq, message.seq ?? 0); // a resumed `ready` is number 1 again
    const about = subject(message);
    if (about === null) return false;
    if (this.#known.has(about)) return true;
    if (this.#known.size >= MOST_KEPT) this.#known.delete(/** @type {string} */ (this.#known.values().next().value));
    this.#known.add(about);
    return false;
  }

  clear() {
    this.lastSeq = 0;
    this.#known.clear();
  }
}

/** @param {any} m @returns {string | null} what it says something about; null for what is no worse for being heard twice */
function subject(m) {
  if (m.type === "segment") return `segment ${m.channel} ${m.index} ${m.end_ms} ${m.interim ?? false}`;
  if (m.type === "verdict") return `verdict ${m.channel} ${m.as_of_ms}`;
  if (m.type === "alert") return `alert ${m.channel} ${m.rule} ${m.at_ms} ${m.cleared}`;
  if (m.type === "warning" && m.range_ms) return `warning ${m.code} ${m.channel} ${m.range_ms}`;
  return null;
}
