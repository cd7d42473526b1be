// The list of what was checked in this visit: state, verdict, name; choose one to see it, or take it away. Used by page.js.
//
// A list of buttons. Arrow keys, Home and End go from line to line and Delete takes one away; only one line is in the Tab order, with its own buttons, so
// that a hundred lines are not three hundred stops.
// @ts-check

import { Elsewhere } from "./elsewhere.js";
import { Line } from "./line.js";
import { MOST_WAITING } from "./queue.js";
import { nameOf, tally } from "./rows.js";
import { at, put } from "../view/dom.js";

const SUMMED = 3; // files, from which on their verdicts are counted
/** @typedef {import("../check.js").Check} Check */

export class VisitList {
  /** @type {Map<Check, Line>} */ lines = new Map();
  /** @type {(() => void) | null} puts back what was taken away last */ #back = null;
  /** @type {() => string} what the list said last, in the language of now */ #said = () => "";

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    const { visit, settings, files } = (this.page = page);
    this.list = at("visit-list");
    this.elsewhere = new Elsewhere(page);
    visit.addEventListener("list", () => this.#arrange());
    visit.addEventListener("change", (event) => this.#changed(/** @type {CustomEvent} */ (event).detail.check));
    settings.addEventListener("change", () => this.draw());
    files.addEventListener("said", (event) => this.#came(/** @type {CustomEvent} */ (event).detail));
    this.list.addEventListener("keydown", (event) => this.#key(event));
    at("visit-add").addEventListener("click", () => files.pick());
    at("visit-cancel").addEventListener("click", () => files.cancel());
    at("visit-retry").addEventListener("click", () => tally(visit.checks).failed.reverse().forEach((check) => files.again(check)));
    at("visit-clear").addEventListener("click", () => this.#clear());
    at("visit-undo").addEventListener("click", () => this.#undo());
    this.draw();
  }

  /** All of it anew: another language, another setting. */
  draw() {
    for (const line of this.lines.values()) line.draw();
    this.#arrange();
    this.#say(this.#said);
  }

  /** The lines in the list's order; those that stay are not touched, so that the focus stays too. */
  #arrange() {
    const { visit } = this.page;
    for (const [check, line] of this.lines) {
      if (visit.checks.includes(check)) continue;
      line.root.remove();
      this.lines.delete(check);
    }
    let before = /** @type {Element | null} */ (this.list.firstElementChild);
    for (const check of visit.checks) {
      let line = this.lines.get(check);
      if (!line) this.lines.set(check, (line = this.#line(check)));
      if (line.root === before) before = before.nextElementSibling;
      else this.list.insertBefore(line.root, before);
      line.select(check === visit.selected);
    }
    this.#rove();
    this.list.hidden = !visit.checks.length;
    at("visit-empty").hidden = visit.checks.length > 0;
    this.#buttons();
    this.elsewhere.draw();
  }

  /** @param {Check} check */
  #changed(check) {
    this.lines.get(check)?.draw();
    if (check.file) this.#buttons();
    if (check.kind === "live") this.elsewhere.draw();
  }

  /** @param {Check} check */
  #line(check) {
    const { visit, files } = this.page;
    return new Line(check, this.page.words, {
      select: () => {
        visit.select(check);
        toPanel();
      },
      retry: () => files.again(check),
      remove: () => this.#remove(check),
      focus: () => this.#rove(check),
    });
  }

  /** Makes one line the one that Tab reaches: the one with the focus, else the one on show, else the first. @param {Check} [check] */
  #rove(check) {
    const { checks, selected } = this.page.visit;
    const focused = checks.find((one) => this.lines.get(one)?.root.contains(document.activeElement));
    const inOrder = check ?? focused ?? selected ?? checks[0];
    for (const [one, line] of this.lines) line.inOrder(one === inOrder);
  }

  #buttons() {
    const { visit, words } = this.page;
    const { all, done, tones, waiting, failed, over } = tally(visit.checks);
    at("visit-cancel").hidden = waiting < 1;
    at("visit-clear").hidden = over < 2;
    at("visit-retry").hidden = failed.length < 2;
    put(at("visit-retry"), words.visit.retryAll(failed.length));
    put(at("visit-working"), done < all && all > 1 ? words.visit.working(done, all) : done === all && all >= SUMMED ? words.visit.sum(tones) : "");
  }

  /** @param {Check} check */
  #remove(check) {
    const { visit, files, words } = this.page;
    if (check === visit.live) return;
    const index = visit.checks.indexOf(check);
    const shown = visit.selected === check;
    const focused = this.lines.get(check)?.root.contains(document.activeElement);
    if (check.running) files.cancel(check);
    const back = visit.take([check]);
    const next = visit.checks[Math.min(index, visit.checks.length - 1)] ?? null;
    if (shown) visit.select(next);
    if (focused) (next ? this.lines.get(next)?.pick : at("visit-add"))?.focus();
    this.#back = check.running ? null : back;
    this.#say(() => words.visit.removed(nameOf(check, words)));
  }

  #clear() {
    const { visit, words } = this.page;
    const gone = visit.checks.filter((check) => !check.running);
    this.#back = visit.take(gone);
    this.#say(() => words.visit.cleared(gone.length));
    at("visit-undo").focus(); // the button that was pressed is gone
  }

  #undo() {
    this.#back?.();
    this.#say(() => "");
    const { selected, checks } = this.page.visit;
    const check = selected ?? checks[0];
    if (check) this.lines.get(check)?.pick.focus();
  }

  /** @param {import("./files.js").LeftOut} what */
  #came({ left_out, cut, over }) {
    const { words, visit } = this.page;
    this.#back = null; // "undo" beside these words would be about something else
    const nothing = left_out > 0 && !visit.checks.some(({ running }) => running);
    this.#say(() =>
      [
        over ? words.visit.over(over, MOST_WAITING) : "",
        left_out ? (nothing ? words.visit.nothing : words.visit.leftOut(left_out)) : "",
        cut ? words.visit.cut : "",
      ]
        .filter(Boolean)
        .join(" "),
    );
  }

  /** Says something above the list, with a way back if it was a removal. @param {() => string} text */
  #say(text) {
    if (text !== this.#said && !text().length) this.#back = null;
    this.#said = text;
    put(at("visit-said"), text());
    at("visit-undo").hidden = !this.#back;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { checks } = this.page.visit;
    const at = checks.findIndex((check) => this.lines.get(check)?.root.contains(/** @type {Node} */ (event.target)));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: checks.length - 1 }[event.key];
    if (to !== undefined && checks[to]) {
      event.preventDefault();
      this.lines.get(checks[to])?.pick.focus();
    } else if (event.key === "Delete" && checks[at]) {
      event.preventDefault();
      this.#remove(checks[at]);
    }
  }
}

/** Chosen in the list far below, a check's verdict would be out of sight. */
function toPanel() {
  const panel = at("panel");
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (panel.getBoundingClientRect().bottom < 80) panel.scrollIntoView({ block: "start", behavior: calm ? "instant" : "smooth" });
}
