// Puts the state on the page, and nothing else: texts, attributes and the list of notices are written only when they change. Used by page.js.
// @ts-check

import { buttonsOf, factsOf, panelOf, sentenceOf } from "./panel.js";
import { reasonsOf } from "./reasons.js";
import { headline } from "../found/verdict.js";
import { fill } from "../words/fill.js";
import { at, put } from "./dom.js";

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
    /** what the list of reasons was made of */
    this.whyShown = "";
    this.announced = "";
    this.fill();
  }

  /** @param {import("../check.js").Check} state */
  show(state) {
    const { words } = this;
    const panel = panelOf(state, words, performance.now());
    mark(this.root, "phase", state.phase);
    mark(this.root, "kind", state.kind);
    mark(this.panel, "tone", panel.tone);
    put(at("letter"), panel.letter);
    put(at("title"), panel.title);
    put(at("sentence"), panel.sentence);
    put(at("status"), panel.status);
    at("status").classList.toggle("warn", panel.warn);
    this._list(at("ranges"), panel.ranges);

    this._buttons(state);
    this._why(state);
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
  _buttons(state) {
    const { words } = this;
    const buttons = buttonsOf(state, words, this.page.visit.live);
    put(this.primary, buttons.primary);
    this.primary.disabled = !buttons.primaryOn;
    this.primary.classList.toggle("stops", buttons.act === "stop");
    this.secondary.disabled = !buttons.fileOn;
  }

  /** What makes the answer less certain, what to do about it; before there is any, how a call is checked. @param {import("./panel.js").State} state */
  _why(state) {
    const { why } = this.words;
    const { found, phase } = state;
    const { tone: said, speech_ms } = headline(found);
    const source = phase === "idle" ? this.page.settings.choices.source : state.input;
    const key = [state.id, phase, found.windows, speech_ms, said, found.notices.length, found.config?.profile, source, this.words.language].join();
    if (key === this.whyShown) return;
    this.whyShown = key;
    const tone = adviceOn(state);
    put(at("now"), tone ? why.now[tone] : "");
    const idle = state.kind === "live" && !found.windows && !found.done; // until something is heard, how to go about it
    const reasons = reasonsOf(state, this.words, this.page.facts.points);
    const unanswered = (said === "no_speech" && reasons.length) || (phase === "failed" && !found.windows);
    const heading = said === "uncertain" ? said : unanswered ? "no_speech" : "other";
    put(at("why-heading"), idle ? why.idle : why[heading]);
    const lines = idle ? why[source === "tab" ? "stepsTab" : "steps"].map((text) => ({ text, todo: "" })) : reasons;
    const unheard = phase === "failed" ? why.failed : why.pending;
    const empty = { text: found.windows ? why.none : unheard, todo: "" };
    at("why").className = idle ? "steps" : "";
    at("why").replaceChildren(
      ...(lines.length ? lines : [empty]).map(({ text, todo }) => {
        const item = document.createElement("li");
        const fact = document.createElement("span");
        fact.textContent = text;
        item.append(fact);
        if (todo) {
          const advice = document.createElement("span");
          advice.className = "todo";
          advice.textContent = todo;
          item.append(" ", advice);
        }
        return item;
      }),
    );
    // Its place is fixed, so that nothing below it moves; what does not fit is reached by the keyboard too.
    if (at("why").scrollHeight > at("why").clientHeight + 1) at("why").tabIndex = 0;
    else at("why").removeAttribute("tabindex");
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
  _announce({ phase, found, status }, { tone, title, sentence }) {
    const words = this.words;
    const failed = phase === "failed";
    const settled = found && (phase === "result" || phase === "listening") && headline(found).state !== "warming" ? headline(found) : null;
    const cut = phase === "listening" && (status?.kind === "waiting" || status?.kind === "connecting"); // once, not at each try
    const key = failed ? `failed ${title}` : cut ? "cut" : settled ? `${settled.final} ${tone}` : phase;
    if (key === this.announced) return;
    this.announced = key;
    if (failed) return put(at("alarm"), `${title}. ${sentence}`);
    put(at("alarm"), "");
    if (cut) put(at("announce"), words.connection.connecting);
    else if (settled) put(at("announce"), words[settled.final ? "announceFinal" : "announce"](title, settled.speech_ms));
    else if (phase === "paused" || phase === "finishing") put(at("announce"), words.panel[phase].title); // the verdict's name stands in the title then
    else if (phase !== "listening" && phase !== "idle") put(at("announce"), title);
  }

  /** Fills the template with words: at the start, and in a new language. */
  fill() {
    document.documentElement.lang = this.words.language;
    document.title = this.words.title;
    fill(document, this.words);
    this.noticesShown = null;
    put(this.secondary, this.words.button.file);
    if (!at("level").textContent) put(at("level"), this.words.level(null));
    at("meter").setAttribute("aria-label", this.words.meter);
    this.progress.setAttribute("aria-label", this.words.panel.uploading.title);
    document.documentElement.dataset.ready = "";
  }
}

/** The verdict that advice can be given on, if there is one. @param {import("../check.js").Check} check */
function adviceOn({ found, phase }) {
  const { tone, state } = headline(found);
  if (state === "warming" || phase === "failed") return null;
  return tone === "spoof" || tone === "uncertain" || tone === "bonafide" ? tone : null;
}

/** @param {HTMLElement} element @param {string} name @param {string} value */
function mark(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}
