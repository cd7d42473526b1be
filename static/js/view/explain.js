// The operating points as a choice, each with what it came to when it was measured; and the limits of the scores. Used by page.js.
//
// In: page.facts (points, rates, measured, model), the words. Out: settings.profile. While listening the choice counts at once (live/listening.js sends it),
// for a file from the next check on.
// @ts-check

import { at, put } from "./dom.js";

/** @typedef {{false_alarm: number | null, miss: number | null, uncertain: number | null, bonafide_right: number | null, spoof_right: number | null}} Rates shares, 0..1 */

export class Explain {
  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.cards = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-point]")]);
    const { settings } = page;
    for (const card of this.cards) {
      const radio = /** @type {HTMLInputElement} */ (card.querySelector("input"));
      radio.addEventListener("change", () => settings.set({ profile: radio.value }));
    }
    settings.addEventListener("change", () => this.draw());
    this.draw();
  }

  draw() {
    const { words, facts, settings } = this.page;
    const { point } = words;
    for (const card of this.cards) {
      const name = /** @type {"fast" | "balanced" | "strict"} */ (card.dataset.point);
      const radio = /** @type {HTMLInputElement} */ (card.querySelector("input"));
      radio.checked = settings.choices.profile === name;
      write(card, ".point-name", point.name[name] ?? name);
      write(card, ".point-about", point.about[name] ?? "");
      write(card, ".rates", ratesOf(facts.rates[name], words).join(" "));
      this.#bars(card, barsOf(facts.rates[name]));
    }
    at("measured").textContent = this.#measured();
    at("reading-window").textContent = words.reading.window(facts.model);
    this.#limits();
  }

  /** @param {HTMLElement} card @param {ReturnType<typeof barsOf>} bars */
  #bars(card, bars) {
    /** @type {HTMLElement} */ (card.querySelector(".bars")).hidden = !bars;
    for (const bar of bars ? card.querySelectorAll(".bar") : []) {
      const shares = /** @type {any} */ (bars)[/** @type {HTMLElement} */ (bar).dataset.class ?? ""];
      for (const part of /** @type {NodeListOf<HTMLElement>} */ (bar.querySelectorAll("i"))) {
        const tone = /** @type {"bonafide" | "uncertain" | "spoof"} */ (part.dataset.tone);
        part.style.flexGrow = String(shares[tone]);
        part.textContent = shares[tone] >= 0.12 ? this.page.words.letter[tone] : "";
      }
    }
  }

  #measured() {
    const { facts, words } = this.page;
    const { held_back, bonafide, spoof } = facts.measured;
    const told = this.cards.some((card) => ratesOf(facts.rates[card.dataset.point ?? ""], words)[0] !== words.point.unmeasured);
    const where = !told ? "" : held_back && bonafide !== null && spoof !== null ? words.point.heldBack(bonafide, spoof) : words.point.ownData;
    return [where, words.point.live].filter(Boolean).join(" ");
  }

  /** The scores between which nothing is decided, as a table. */
  #limits() {
    const { facts, words } = this.page;
    const rows = this.cards.map((card) => {
      const name = card.dataset.point ?? "";
      const band = facts.points[name];
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = /** @type {any} */ (words.point.name)[name] ?? name;
      row.append(head);
      for (const say of [words.score, (/** @type {number} */ score) => words.reading.llrOf(llrOf(score))]) {
        const cell = document.createElement("td");
        cell.textContent = `${say(band[0])} … ${say(band[1])}`;
        row.append(cell);
      }
      return row;
    });
    at("limits").replaceChildren(...rows);
  }
}

/**
 * What an operating point came to, in sentences; one that says so where nobody measured.
 * @param {Rates} rates
 * @param {import("../words/index.js").Words} words
 */
export function ratesOf({ false_alarm, miss, uncertain }, { point }) {
  if (false_alarm === null || miss === null) return [point.unmeasured];
  return [point.falseAlarm(false_alarm), point.miss(miss), ...(uncertain === null ? [] : [point.open(uncertain)])];
}

/**
 * Human and machine voices by what they were called; null where the card does not tell them apart.
 * @param {Rates} rates
 */
export function barsOf({ false_alarm, miss, bonafide_right, spoof_right }) {
  if (false_alarm === null || miss === null || bonafide_right === null || spoof_right === null) return null;
  const rest = (/** @type {number} */ a, /** @type {number} */ b) => Math.max(0, 1 - a - b);
  return {
    human: { bonafide: bonafide_right, uncertain: rest(bonafide_right, false_alarm), spoof: false_alarm },
    machine: { bonafide: miss, uncertain: rest(miss, spoof_right), spoof: spoof_right },
  };
}

/** The natural logarithm of the odds that a score is. @param {number} score */
export function llrOf(score) {
  return Math.log(score / (1 - score));
}

/** @param {HTMLElement} card @param {string} part @param {string} text */
function write(card, part, text) {
  put(/** @type {HTMLElement} */ (card.querySelector(part)), text);
}
