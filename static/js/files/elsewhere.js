// While a recording goes on and something else is on show: a bar at the top that says how the recording stands, and the way back to it. Used by list.js.
// @ts-check

import { rowOf } from "./rows.js";
import { at } from "../view/dom.js";

export class Elsewhere {
  #key = "";

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.bar = at("elsewhere");
    this.chip = /** @type {HTMLElement} */ (this.bar.querySelector(".chip"));
    at("elsewhere-back").addEventListener("click", () => {
      const { live } = page.visit;
      if (!live) return;
      page.visit.select(live);
      at("panel").focus(); // the button is gone
    });
  }

  draw() {
    const { visit, words } = this.page;
    const { live } = visit;
    const away = live !== null && live !== visit.selected;
    const row = away ? rowOf(live, words) : null;
    const key = row ? `${row.tone} ${row.letter} ${words.visit.live(row.says, live?.captured_ms ?? 0)}` : "";
    if (key === this.#key) return;
    this.#key = key;
    this.bar.hidden = !row;
    if (!row) return;
    this.bar.dataset.tone = this.chip.dataset.tone = row.tone;
    this.chip.textContent = row.letter;
    at("elsewhere-text").textContent = words.visit.live(row.says, live?.captured_ms ?? 0);
  }
}
