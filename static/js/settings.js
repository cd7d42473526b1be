// What the person chose: source, device, operating point, language, key. Kept in memory only; the key is written nowhere. Used by every part of the page.
//
// Event: change {name: value, ...} of what is new.
// @ts-check

/**
 * @typedef {{source: "microphone" | "tab", device: string, profile: string, language: string, key: string}} Choices `device`: "" is the system's own choice
 */

export class Settings extends EventTarget {
  /** @param {Partial<Choices>} [first] */
  constructor(first = {}) {
    super();
    /** @type {Choices} */
    this.choices = { source: "microphone", device: "", profile: "balanced", language: "en", key: "", ...first };
  }

  /** @param {Partial<Choices>} changes */
  set(changes) {
    const fresh = Object.entries(changes).filter(([name, value]) => /** @type {any} */ (this.choices)[name] !== value);
    if (!fresh.length) return;
    Object.assign(this.choices, changes);
    this.dispatchEvent(new CustomEvent("change", { detail: Object.fromEntries(fresh) }));
  }
}
