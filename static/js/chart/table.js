// The windows as a table, for whoever does not see the chart or wants the figures: those of the stretch on show, the newest 200 of them. Made only while
// it is open, and at most once a second. Used by chart.js.
// @ts-check

import { COLUMNS, rowOf } from "./readout.js";
import { stretch } from "./tracks.js";

const MOST_ROWS = 200;
const PAUSE_MS = 1000;

export class Table {
  #timer = 0;
  #at = -Infinity;

  /**
   * @param {HTMLDetailsElement} root with a table, its caption and its head in it
   * @param {() => {found: import("../found/verdict.js").Findings | null, from_ms: number, to_ms: number, words: import("../words/index.js").Words}} what is on show
   */
  constructor(root, what) {
    this.root = root;
    this.what = what;
    this.body = /** @type {HTMLElement} */ (root.querySelector("tbody"));
    this.caption = /** @type {HTMLElement} */ (root.querySelector("caption"));
    this.key = "";
    root.addEventListener("toggle", () => this.changed());
  }

  /** Something of what is on show is new. */
  changed() {
    if (!this.root.open || this.#timer) return;
    const wait_ms = Math.max(0, PAUSE_MS - (performance.now() - this.#at));
    this.#timer = window.setTimeout(() => {
      this.#timer = 0;
      this.#at = performance.now();
      if (this.root.open && !document.hidden) this.#fill();
    }, wait_ms);
  }

  #fill() {
    const { found, from_ms, to_ms, words } = this.what();
    const lanes = found?.lanes ?? [];
    const rows = lanes.flatMap((lane, channel) => stretch(lane.cells, from_ms, to_ms).slice(-MOST_ROWS).map((cell) => ({ cell, channel })));
    rows.sort((a, b) => b.cell.from_ms - a.cell.from_ms || a.channel - b.channel);
    const shown = rows.slice(0, MOST_ROWS);
    const newest = shown[0]?.cell;
    const key = [words.language, shown.length, newest?.from_ms, newest?.to_ms, newest?.windows, shown.at(-1)?.cell.from_ms].join(" ");
    if (key === this.key) return;
    this.key = key;
    this.caption.textContent = words.chart.caption(shown.length, from_ms, to_ms);
    this.body.replaceChildren(...shown.map(({ cell, channel }) => line(rowOf(cell, channel, lanes.length, words))));
  }
}

/** @param {ReturnType<typeof rowOf>} row */
function line(row) {
  const tr = document.createElement("tr");
  tr.append(
    ...COLUMNS.map((name, index) => {
      const cell = document.createElement(index ? "td" : "th");
      if (!index) cell.scope = "row";
      cell.textContent = row[name];
      return cell;
    }),
  );
  return tr;
}
