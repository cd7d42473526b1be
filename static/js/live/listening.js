// Listening as the page does it: opens a source, makes a Check of it, follows Live and keeps what the chart and the downloads need. Used by page.js.
// @ts-check

import { Check } from "../check.js";
import { Sound } from "../chart/sound.js";
import { Live } from "./live.js";
import { Meter } from "./meter.js";
import { Recording } from "./recording.js";
import { Stream } from "./stream.js";

const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class Listening {
  /** @type {Live | null} */ live = null;

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (document.querySelector(`#meter .${name}`));
    this.meter = new Meter({ root: element("meter"), bar: part("bar"), peak: part("peak"), value: element("level") }, page.words.level);
    window.addEventListener("online", () => this.live?.stream?.retryNow());
    window.addEventListener("pagehide", () => this.live?.cancel());
  }

  start() {
    const { visit, settings, keyring, words } = this.page;
    if (this.live) return;
    const url = new URL("v1/stream", this.page.base);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const { profile } = settings.choices;
    const config = { profile, detail: "full" };
    const live = (this.live = new Live({ url: url.href, config, makeStream: (options) => new Stream({ ...options, protocols: () => keyring.protocols() }) }));
    const check = new Check({ kind: "live", source: words.source.none, profile });
    check.found = live.found;
    check.again = () => this.start();
    visit.add(check);
    live.addEventListener("heard", (event) => {
      const { samples, sent, levels } = /** @type {CustomEvent} */ (event).detail;
      const { rate } = /** @type {import("./microphone.js").Microphone} */ (live.microphone);
      (check.sound ??= new Sound(rate)).push(samples);
      (check.recording ??= new Recording(rate)).push(sent);
      this.meter.hear(levels);
      visit.changed(check, { captured_ms: live.captured_ms });
    });
    live.addEventListener("change", () => {
      if (live.phase === "over") return;
      const { phase, status, microphone } = live;
      if (status?.retry_in_ms !== undefined) check.wait_until = status.at + status.retry_in_ms;
      if (phase === "connecting" && microphone && check.phase !== "connecting") this.#opened(check, microphone);
      visit.changed(check, { phase, status });
    });
    live.addEventListener("end", (event) => this.#ended(check, /** @type {CustomEvent} */ (event).detail.trouble));
    void live.start();
  }

  stop() {
    void this.live?.stop();
  }

  cancel() {
    this.live?.cancel();
  }

  /** @param {Check} check @param {import("./microphone.js").Microphone} microphone */
  #opened(check, microphone) {
    const { words } = this.page;
    check.source = words.source.named(microphone.label, microphone.rate);
    const names = microphone.altered.map((name) => /** @type {any} */ (words.processing)[name]);
    if (names.length) check.found.note({ kind: "altered", message: names.join(", ") });
  }

  /** @param {Check} check @param {import("../found/trouble.js").Trouble | null} trouble */
  #ended(check, trouble) {
    const { visit } = this.page;
    this.live = null;
    this.meter.rest();
    const { found } = check;
    if (found.done) {
      if (trouble) found.note({ kind: "error", code: trouble.key });
      visit.changed(check, { phase: "result", trouble: null, status: null });
    } else if (!trouble || trouble.key === "aborted") visit.remove(check);
    else visit.changed(check, { phase: "failed", trouble, status: null, wait_until: performance.now() + (trouble.wait_ms ?? 0) });
  }
}
