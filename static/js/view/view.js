// Puts the state on the page, and nothing else: texts, attributes and the list of notices are written only when they change. Used by page.js.
// @ts-check

import { buttonsOf, factsOf, panelOf, sentenceOf } from "./panel.js";
import { headline } from "../found/verdict.js";

/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class View {
  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.words = page.words;
    this.root = at("page");
    this.panel = at("panel");
    this.primary = /** @type {HTMLButtonElement} */ (at("primary"));
    this.secondary = /** @type {HTMLButtonElement} */ (at("secondary"));
    this.progress = /** @type {HTMLProgressElement} */ (at("progress"));
    /** @type {unknown} */
    this.noticesShown = null;
    this.announced = "";
    this._fill();
  }

  /** @param {import("../check.js").Check} state */
  show(state) {
    const { words } = this;
    const panel = panelOf(state, words, performance.now());
    this.root.dataset.phase = state.phase;
    this.panel.dataset.tone = panel.tone;
    put(at("letter"), panel.letter);
    put(at("title"), panel.title);
    put(at("sentence"), panel.sentence);
    put(at("status"), panel.status);
    at("status").classList.toggle("warn", panel.warn);
    this._list(at("ranges"), panel.ranges);

    const buttons = buttonsOf(state, words);
    put(this.primary, buttons.primary);
    this.primary.disabled = !buttons.primaryOn;
    this.secondary.disabled = !buttons.fileOn;
    put(at("source"), state.source);
    this._progress(state);
    for (const [name, text] of Object.entries(factsOf(state, words))) put(at(`fact-${name}`), text);
    this._notices(state.found?.notices ?? []);
    this.model(state.found.model ?? this.page.facts.model);
    this._announce(state, panel);
  }

  /** @param {any} model */
  model(model) {
    put(at("model-name"), this.words.model.line(model));
    put(at("model-window"), this.words.model.window(model));
    put(at("model-sha"), model.sha256);
  }

  /** @param {import("./panel.js").State} state */
  _progress({ phase, progress }) {
    if (phase === "checking") this.progress.removeAttribute("value"); // no telling how long: the bar only moves
    else if (this.progress.value !== progress || !this.progress.hasAttribute("value")) this.progress.value = progress;
  }

  /** @param {import("../found/verdict.js").Notice[]} notices */
  _notices(notices) {
    if (this.noticesShown === notices) return;
    this.noticesShown = notices;
    const items = notices.map((notice) => {
      const item = document.createElement("li");
      const time = document.createElement("time");
      const text = document.createElement("span");
      time.textContent = notice.at_ms === undefined ? "" : this.words.notice.at(notice.at_ms);
      text.textContent = sentenceOf(notice, this.words);
      item.classList.toggle("alert", notice.kind === "alert");
      item.append(time, text);
      return item;
    });
    if (!items.length) {
      const none = document.createElement("li");
      none.className = "none";
      none.textContent = this.words.notice.none;
      items.push(none);
    }
    at("notices").replaceChildren(...items);
  }

  /** @param {HTMLElement} list @param {string[]} texts */
  _list(list, texts) {
    const key = texts.join("\n");
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.hidden = !texts.length;
    list.replaceChildren(
      ...texts.map((text) => {
        const item = document.createElement("li");
        item.textContent = text;
        return item;
      }),
    );
  }

  /**
   * Says a new verdict, once, to those who listen to the page; and a trouble at once.
   * @param {import("./panel.js").State} state
   * @param {import("./panel.js").Panel} panel
   */
  _announce({ phase, found }, { tone, title, sentence }) {
    const words = this.words;
    const failed = phase === "failed";
    const settled = found && (phase === "result" || phase === "listening") && headline(found).state !== "warming" ? headline(found) : null;
    const key = failed ? `failed ${title}` : settled ? `${settled.final} ${tone}` : phase;
    if (key === this.announced) return;
    this.announced = key;
    if (failed) return put(at("alarm"), `${title}. ${sentence}`);
    put(at("alarm"), "");
    if (settled) put(at("announce"), words[settled.final ? "announceFinal" : "announce"](title, settled.speech_ms));
    else if (phase !== "listening" && phase !== "idle") put(at("announce"), title);
  }

  /** Fills the template with words, once. */
  _fill() {
    document.documentElement.lang = this.words.language;
    document.title = this.words.title;
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-words]"))) {
      const name = element.dataset.words ?? "";
      element.textContent = name.split(".").reduce((/** @type {any} */ words, part) => words[part], this.words);
    }
    put(this.secondary, this.words.button.file);
    put(at("level"), this.words.level(null));
    at("meter").setAttribute("aria-label", this.words.meter);
    this.progress.setAttribute("aria-label", this.words.panel.uploading.title);
    document.documentElement.dataset.ready = "";
  }
}

/** @param {HTMLElement} element @param {string} text */
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
