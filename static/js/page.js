// The page as a whole: builds its parts, each of which looks after its own piece of the template, and wires the two big buttons. Made once, by main.js.
//
// What the parts share: `facts` (what the server told the page), `words`, `settings` (what was chosen), `visit` (what was checked, what is on show).
// A part listens to `visit` and `settings` and draws itself; parts speak to each other only through these and the few methods named here.
// @ts-check

import { Chart } from "./chart/chart.js";
import { Check } from "./check.js";
import { Files } from "./files/files.js";
import { VisitList } from "./files/list.js";
import { Player } from "./files/player.js";
import { Trouble } from "./found/trouble.js";
import { Keep } from "./keep/keep.js";
import { Keyring } from "./live/keyring.js";
import { Listening } from "./live/listening.js";
import { Settings } from "./settings.js";
import { Explain } from "./view/explain.js";
import { firstLanguage, Language } from "./view/language.js";
import { buttonsOf } from "./view/panel.js";
import { View } from "./view/view.js";
import { Visit } from "./visit.js";
import { speak, words } from "./words/index.js";

const COUNTDOWN_MS = 250;

export class Page {
  /** @param {any} facts */
  constructor(facts) {
    this.facts = facts;
    this.base = document.baseURI;
    this.words = words;
    this.visit = new Visit();
    this.settings = new Settings({ profile: facts.default_point, language: firstLanguage() });
    speak(this.settings.choices.language);
    // Before the parts listen, so that they find the new words.
    this.settings.addEventListener("change", () => speak(this.settings.choices.language));
    this.keyring = new Keyring(this.settings, this.base);
    /** what the panel says when nothing was checked */
    this.idle = new Check({ kind: "live", source: words.source.none, profile: facts.default_point });

    this.language = new Language(this);
    this.view = new View(this);
    this.chart = new Chart(this);
    this.listening = new Listening(this);
    this.files = new Files(this);
    this.player = new Player(this);
    this.list = new VisitList(this);
    this.keep = new Keep(this);
    this.explain = new Explain(this);
    this.#wire();
    if (!window.isSecureContext) this.fail(new Trouble("insecure", { fact: location.port && `:${location.port}` }));
    this.draw();
  }

  /** What is on show; the empty page when nothing was checked. */
  get shown() {
    return this.visit.selected ?? this.idle;
  }

  /** Something is wrong before anything was begun. @param {Trouble} trouble */
  fail(trouble) {
    Object.assign(this.idle, { phase: "failed", trouble });
    this.draw();
  }

  draw() {
    this.view.show(this.shown);
    this.chart.show(this.shown);
  }

  #wire() {
    const { visit, settings, view } = this;
    visit.addEventListener("list", () => this.draw());
    visit.addEventListener("change", (event) => {
      if (/** @type {CustomEvent} */ (event).detail.check === visit.selected) this.draw();
      else view.show(this.shown); // its buttons are those of a recording that goes on elsewhere
    });
    settings.addEventListener("change", (event) => {
      const { detail } = /** @type {CustomEvent} */ (event);
      if ("source" in detail) view.show(this.shown); // how a call is checked depends on it
      if (!("language" in detail)) return;
      this.idle.source = words.source.none;
      view.fill();
      this.draw();
    });
    view.primary.addEventListener("click", ({ detail }) => {
      if (detail > 1) return; // the second half of a double click: what the button has become by then was not meant (after "stop" it would throw all away)
      const { act } = buttonsOf(this.shown, words, visit.live);
      if (act === "start") this.listening.start();
      else if (act === "retry") this.shown.again?.();
      else if (act === "stop") this.listening.stop();
      else if (visit.live || !this.shown.file) this.listening.cancel();
      else this.files.cancel(this.shown);
    });
    view.secondary.addEventListener("click", () => this.files.pick());
    setInterval(() => {
      if (this.shown.phase === "failed" || this.shown.status) this.draw();
    }, COUNTDOWN_MS);
  }
}
