// Listening as the page does it: opens a source, makes a Check of it, follows Live and keeps what the chart and the downloads need. Used by page.js.
// @ts-check

import { Check } from "../check.js";
import { Sound } from "../chart/sound.js";
import { Trouble } from "../found/trouble.js";
import { Awake } from "./awake.js";
import { Controls } from "./controls.js";
import { KeyField } from "./keyfield.js";
import { Live } from "./live.js";
import { Meter } from "./meter.js";
import { PauseButton } from "./pause.js";
import { Recording } from "./recording.js";
import { Stream } from "./stream.js";
import { TabTitle } from "./tabtitle.js";
import { at } from "../view/dom.js";

export class Listening {
  /** @type {Live | null} */ live = null;

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (document.querySelector(`#meter .${name}`));
    const parts = { root: at("meter"), bar: part("bar"), peak: part("peak"), value: at("level") };
    this.meter = new Meter(parts, (dbfs) => page.words.level(dbfs));
    this.awake = new Awake();
    this.title = new TabTitle(page.words);
    this.controls = new Controls(page);
    this.keyField = new KeyField(page);
    this.pauseButton = new PauseButton(page);
    window.addEventListener("online", () => this.live?.stream?.retryNow());
    window.addEventListener("pagehide", () => this.live?.cancel());
    page.settings.addEventListener("change", (event) => {
      const { profile } = /** @type {CustomEvent} */ (event).detail;
      if (profile) this.live?.update({ profile });
    });
  }

  start() {
    const { visit, settings, keyring, words } = this.page;
    if (this.live) return;
    const url = new URL("v1/stream", this.page.base);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const { profile, source, device } = settings.choices;
    const makeStream = (/** @type {any} */ options) => new Stream({ ...options, protocols: () => keyring.protocols() });
    const live = (this.live = new Live({ url: url.href, config: { profile, detail: "full" }, wanted: { source, device }, makeStream }));
    const check = new Check({ kind: "live", source: source === "tab" ? words.controls.source.tab : words.source.none, profile });
    Object.assign(check, { input: source, found: live.found });
    check.again = () => {
      if (this.live) return; // another recording goes on
      if (!check.found.windows) visit.remove(check); // a try that failed need not stay
      this.start();
    };
    visit.add(check);
    live.addEventListener("heard", (event) => {
      const { samples, sent, levels } = /** @type {CustomEvent} */ (event).detail;
      const { rate } = /** @type {import("./input.js").Input} */ (live.input);
      (check.sound ??= new Sound(rate)).push(samples);
      (check.recording ??= new Recording(rate)).push(sent);
      this.meter.hear(levels);
      visit.changed(check, { captured_ms: live.captured_ms });
    });
    live.addEventListener("change", () => {
      if (live.phase === "over") return;
      const { phase, status, input } = live;
      if (status?.retry_in_ms !== undefined) check.wait_until = status.at + status.retry_in_ms;
      if (phase === "connecting" && input && check.phase !== "connecting") this.#opened(check, input);
      if (phase === "paused") this.meter.rest();
      visit.changed(check, { phase, status });
      this.title.say(check);
    });
    live.addEventListener("end", (event) => this.#ended(check, /** @type {CustomEvent} */ (event).detail.trouble));
    visit.changed(check, { phase: "asking" });
    void live.start();
  }

  stop() {
    void this.live?.stop();
  }

  cancel() {
    this.live?.cancel();
  }

  pause() {
    void this.live?.pause();
  }

  resume() {
    this.live?.resume();
  }

  /** @param {Check} check @param {import("./input.js").Input} input */
  #opened(check, input) {
    const { words } = this.page;
    check.source = words.source.named(input.kind === "tab" ? words.controls.source.tab : input.label, input.rate);
    const names = input.altered.map((name) => /** @type {any} */ (words.processing)[name]);
    if (names.length) check.found.note({ kind: "altered", message: names.join(", ") });
    this.awake.start();
    this.controls.look(); // now the browser tells the names
  }

  /** @param {Check} check @param {import("../found/trouble.js").Trouble | null} ended */
  #ended(check, ended) {
    const trouble = this.page.keyring.told(ended);
    this.live = null;
    this.meter.rest();
    this.awake.stop();
    this.#settle(check, trouble);
    this.title.end(check);
  }

  /** @param {Check} check @param {import("../found/trouble.js").Trouble | null} trouble */
  #settle(check, trouble) {
    const { visit } = this.page;
    const { found } = check;
    if (found.done) {
      if (trouble) found.note({ kind: "error", code: trouble.key });
      visit.changed(check, { phase: "result", trouble, status: null }); // the trouble says why it ended; the result stands
      return;
    }
    const cancelled = !trouble || trouble.key === "aborted";
    // Who waits for the result in vain and cancels that does not want to lose the call itself.
    const why = cancelled && check.phase === "finishing" && found.windows ? new Trouble("unfinished", { wait_ms: 0 }) : cancelled ? null : trouble;
    if (!why) return visit.remove(check);
    if (!found.windows) check.sound = check.recording = null; // the moment until the server refused: nothing to look at or to keep
    visit.changed(check, { phase: "failed", trouble: why, status: null, wait_until: performance.now() + (why.wait_ms ?? 0) });
  }
}
