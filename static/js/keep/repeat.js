// The snippet that repeats the check on show: tabs of three languages, and a button that copies. Used by keep.js.
// @ts-check

import { copy } from "./save.js";
import { LANGUAGES, snippetsOf } from "./snippet.js";
import { at as element } from "../view/dom.js";

const FEEDBACK_MS = 1800;
const at = (/** @type {string} */ id) => element(`keep-${id}`);

export class Repeat {
  /** @type {string} */ language = LANGUAGES[0];
  /** @type {Record<string, string>} */ sources = {};
  /** @type {import("./snippet.js").Wanted | null} */ wanted = null;
  #key = "";
  #timer = 0;

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    const tabs = LANGUAGES.map((language) => at(language));
    tabs.forEach((tab, i) => {
      tab.addEventListener("click", () => this.#choose(LANGUAGES[i]));
      tab.addEventListener("keydown", ({ key }) => {
        const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
        if (!step) return;
        const next = (i + step + tabs.length) % tabs.length;
        this.#choose(LANGUAGES[next]);
        tabs[next].focus();
      });
    });
    at("copy").addEventListener("click", () => void this.#copy());
    at("repeat").addEventListener("toggle", () => this.draw());
  }

  /** @param {import("./snippet.js").Wanted} [fresh] */
  draw(fresh) {
    if (fresh) this.wanted = fresh;
    const { wanted } = this;
    if (!wanted || !(/** @type {HTMLDetailsElement} */ (at("repeat")).open)) return;
    const { words } = this.page;
    const key = JSON.stringify([wanted, words.language]);
    if (key === this.#key) return;
    this.#key = key;
    this.sources = snippetsOf(this.page.facts.examples, wanted);
    const { repeatHint } = words.keep;
    at("repeat-hint").textContent = `${repeatHint[wanted.kind === "file" ? "file" : "recording"]} ${wanted.keyed ? repeatHint.key : ""}`.trim();
    this.#label(words.keep.copy);
    this.#show();
  }

  /** @param {string} language */
  #choose(language) {
    this.language = language;
    this.#show();
  }

  #show() {
    for (const language of LANGUAGES) {
      const chosen = language === this.language;
      at(language).setAttribute("aria-selected", String(chosen));
      at(language).tabIndex = chosen ? 0 : -1;
    }
    at("source").setAttribute("aria-labelledby", `keep-${this.language}`);
    at("source").textContent = this.sources[this.language] ?? "";
  }

  async #copy() {
    const { keep } = this.page.words;
    this.#label((await copy(at("source"))) ? keep.copied : keep.selected);
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#label(this.page.words.keep.copy), FEEDBACK_MS);
  }

  /** @param {string} text */
  #label(text) {
    at("copy").textContent = text;
  }
}
