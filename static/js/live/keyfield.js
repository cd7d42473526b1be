// The field for a key, for servers that want one. It opens by itself when an answer was that a key is needed. The key is in memory only: in the settings and in this
// field, which the browser is asked not to remember. Used by listening.js.
// @ts-check

import { wantsKey } from "./keyring.js";
import { at } from "../view/dom.js";

const SENDABLE = /^[\x21-\x7e]+$/; // what may stand in a header

export class KeyField {
  /** @type {unknown} the trouble it was last opened for */ #answered = null;
  #odd = false;

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.box = /** @type {HTMLDetailsElement} */ (at("key-box"));
    this.field = /** @type {HTMLInputElement} */ (at("key"));
    this.forget = /** @type {HTMLButtonElement} */ (at("key-forget"));
    this.hint = at("key-hint");
    at("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#use();
    });
    this.field.addEventListener("input", () => {
      this.#odd = false;
      this.draw();
    });
    this.forget.addEventListener("click", () => {
      this.field.value = "";
      page.settings.set({ key: "" });
      this.field.focus();
    });
    page.settings.addEventListener("change", () => this.draw());
    for (const name of ["list", "change"]) page.visit.addEventListener(name, () => this.#look());
    this.draw();
  }

  #use() {
    const { settings, visit } = this.page;
    const key = this.field.value.trim();
    this.#odd = key !== "" && !SENDABLE.test(key);
    if (this.#odd) return this.draw();
    const { selected } = visit;
    const failed = selected?.kind === "live" && selected.phase === "failed" ? selected : null; // what waits of files goes on by itself
    settings.set({ key });
    this.draw();
    if (failed && key && wantsKey(failed.trouble)) failed.again?.();
    else if (failed && ["limited", "quota"].includes(failed.trouble?.key ?? "")) visit.changed(failed, { wait_until: 0 }); // limits are a key's own
  }

  #look() {
    const { selected } = this.page.visit;
    const trouble = selected && (selected.phase === "failed" || selected.phase === "waiting") ? selected.trouble : null; // a file waits for a key
    if (trouble && trouble !== this.#answered && wantsKey(trouble)) {
      this.#answered = trouble;
      this.box.open = true;
      this.field.focus();
      this.field.select();
    }
    this.draw();
  }

  draw() {
    const { words, settings, visit } = this.page;
    const { key } = settings.choices;
    const wrong = this.#odd || (key !== "" && key === this.field.value.trim() && visit.selected?.trouble?.key === "wrongKey");
    this.field.setAttribute("aria-invalid", String(wrong));
    this.forget.hidden = !key;
    const { odd, wrong: refused, inUse, hint } = words.controls.key;
    const text = this.#odd ? odd : wrong ? refused : key ? inUse : hint;
    if (this.hint.textContent !== text) this.hint.textContent = text;
    this.hint.classList.toggle("warn", wrong);
  }
}
