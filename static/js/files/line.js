// One line of the visit's list: its elements, made once, and their texts, written only when they change. Used by list.js.
// @ts-check

import { rowOf } from "./rows.js";

/** @typedef {{select: () => void, retry: () => void, remove: () => void, focus: () => void}} Acts */

export class Line {
  #key = "";

  /**
   * @param {import("../check.js").Check} check
   * @param {typeof import("../words/index.js").words} words
   * @param {Acts} acts
   */
  constructor(check, words, acts) {
    this.check = check;
    this.words = words;
    this.root = made("li", "line");
    this.pick = button("pick", acts.select);
    this.chip = made("span", "chip");
    this.chip.setAttribute("aria-hidden", "true");
    this.name = made("span", "name");
    this.facts = made("span", "facts-line");
    this.says = made("span", "says");
    this.bar = /** @type {HTMLProgressElement} */ (made("progress", "bar"));
    this.bar.max = 1;
    this.retry = button("retry", acts.retry);
    this.gone = button("gone", acts.remove);
    this.gone.append(cross());
    this.pick.append(this.chip, this.name, this.facts, this.says);
    this.root.append(this.pick, this.retry, this.gone, this.bar);
    this.root.addEventListener("focusin", acts.focus);
    this.draw();
  }

  draw() {
    const { words, check } = this;
    const row = rowOf(check, words);
    const removable = check.kind === "file" || !check.running; // a recording that goes on is stopped first
    const key = JSON.stringify([row, removable, check.running, words.language]);
    if (key === this.#key) return;
    this.#key = key;
    this.root.dataset.tone = row.tone;
    this.chip.dataset.tone = row.tone;
    this.chip.textContent = row.letter;
    this.name.textContent = this.pick.title = row.name;
    this.facts.textContent = row.facts;
    this.says.textContent = row.says;
    this.bar.hidden = row.progress === undefined;
    this.bar.setAttribute("aria-label", row.says);
    if (row.progress === null) this.bar.removeAttribute("value");
    else if (row.progress !== undefined) this.bar.value = row.progress;
    this.retry.hidden = !row.retry;
    this.retry.textContent = words.visit.retry;
    this.gone.hidden = !removable;
    this.gone.title = words.visit[check.running ? "cancel" : "remove"](row.name);
    this.gone.setAttribute("aria-label", this.gone.title);
  }

  /** @param {boolean} on */
  select(on) {
    if (on) this.pick.setAttribute("aria-current", "true");
    else this.pick.removeAttribute("aria-current");
  }

  /** @param {boolean} on whether Tab reaches it */
  inOrder(on) {
    for (const one of [this.pick, this.retry, this.gone]) one.tabIndex = on ? 0 : -1;
  }
}

/** @param {string} name @param {string} kind */
function made(name, kind) {
  const element = document.createElement(name);
  element.className = kind;
  return element;
}

/** @param {string} kind @param {() => void} act */
function button(kind, act) {
  const element = /** @type {HTMLButtonElement} */ (made("button", kind));
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}

function cross() {
  const SVG = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", "M6 6l12 12M18 6L6 18");
  svg.append(path);
  return svg;
}
