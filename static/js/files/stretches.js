// The stretches of the check on show that sound machine-made, one button each: shows it in the chart and plays it. Used by player.js.
// @ts-check

import { at } from "../view/dom.js";

const MOST_SHOWN = 100;

/** @typedef {{channel: number, start_ms: number, end_ms: number, score: number | null}} Range */

export class Stretches {
  /** @type {Range[]} */ ranges = [];
  /** @type {HTMLButtonElement[]} */ buttons = [];
  /** @type {any} the result they are of */ #done = null;
  #language = "";

  /** @param {import("../page.js").Page} page @param {(range: Range) => void} play */
  constructor(page, play) {
    this.page = page;
    this.play = play;
    this.root = at("stretches");
  }

  /** @param {import("../check.js").Check} check */
  show({ found: { done } }) {
    const { words } = this.page;
    if (done === this.#done && words.language === this.#language) return;
    this.#done = done;
    this.#language = words.language;
    this.ranges = done?.spoof_ranges ?? [];
    this.root.hidden = !done || done.verdict === "no_speech" || (!this.ranges.length && done.verdict !== "spoof");
    at("stretches-heading").textContent = this.ranges.length ? words.player.stretches(this.ranges.length) : words.player.none;
    const many = (done?.channels.length ?? 1) > 1;
    this.buttons = this.ranges.slice(0, MOST_SHOWN).map((range) => this.#button(range, many));
    at("stretches-list").replaceChildren(
      ...this.buttons.map((button) => {
        const item = document.createElement("li");
        item.append(button);
        return item;
      }),
    );
    const hidden = this.ranges.length - this.buttons.length;
    at("stretches-more").hidden = !hidden;
    at("stretches-more").textContent = hidden ? words.player.more(hidden) : "";
  }

  /** Marks the one that is being played. @param {Range | null} playing */
  mark(playing) {
    this.buttons.forEach((button, index) => {
      const on = this.ranges[index] === playing;
      if (on === button.hasAttribute("aria-current")) return;
      if (on) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
  }

  /** @param {Range} range @param {boolean} many channels */
  #button(range, many) {
    const { player } = this.page.words;
    const button = document.createElement("button");
    const [when, what] = [document.createElement("span"), document.createElement("span")];
    button.type = "button";
    when.className = "when";
    what.className = "what";
    when.textContent = player.range(range);
    what.textContent = player.detail(range, many);
    button.setAttribute("aria-label", player.goTo(when.textContent, what.textContent));
    button.append(when, what);
    button.addEventListener("click", () => this.play(range));
    return button;
  }
}
