// Files that were picked, dropped or pasted: each becomes a Check, waits for its turn and is sent to POST /v1/detect. Used by page.js.
//
// Files may come at any time, also while a recording runs or another result is on show. While the connection of a recording is behind, no new upload
// begins: the recording is heard once, the file can wait.
// @ts-check

import { Check } from "../check.js";
import { Trouble } from "../found/trouble.js";
import { findingsOfFile } from "../found/verdict.js";
import { wantsKey } from "../live/keyring.js";
import { gather, hasFiles } from "./gather.js";
import { Pictures } from "./picture.js";
import { Queue } from "./queue.js";
import { refusal, Upload } from "./upload.js";
import { at } from "../view/dom.js";

const DRAGGED_MS = 500; // a browser says at least every 350 ms that something is dragged over the page; Safari never says for sure that it left
const TICK_MS = 1000; // of a countdown
const BEHIND = ["held", "waiting", "connecting"]; // a recording's connection

/** @typedef {{left_out: number, cut: boolean, over: number}} LeftOut what did not come in: no sound, not looked at, no room */

/** Event: said {left_out, cut, over}, after each time files came. */
export class Files extends EventTarget {
  #behind = false;

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    super();
    const { visit, settings } = (this.page = page);
    this.pictures = new Pictures(visit);
    /** @type {Queue<Check>} */
    this.queue = new Queue({
      run: (check, signal) => this.#send(check, signal),
      onFailed: (check, trouble) => this.#failed(check, trouble),
      onChange: () => this.#waiting(),
      mayStart: () => !this.#behind,
    });
    visit.addEventListener("change", () => this.#look());
    visit.addEventListener("list", () => {
      this.#dropGone();
      this.#look();
    });
    window.addEventListener("online", () => this.queue.held?.key === "unreachable" && this.queue.release());
    settings.addEventListener("change", (event) => {
      if ("key" in /** @type {CustomEvent} */ (event).detail) this.#keyCame();
    });
    setInterval(() => this.queue.held && this.#waiting(), TICK_MS);

    const picker = (this.picker = /** @type {HTMLInputElement} */ (at("picker")));
    picker.addEventListener("change", () => {
      const files = [...(picker.files ?? [])];
      picker.value = ""; // the same file may be chosen again
      this.add(files);
    });
    this.#wireDrop(at("drop"));
  }

  pick() {
    this.picker.click();
  }

  /**
   * Files come in; the first is put on show, unless a recording is.
   * @param {File[]} files
   * @param {{left_out?: number, cut?: boolean}} [gathered]
   */
  add(files, { left_out = 0, cut = false } = {}) {
    const { visit, facts } = this.page;
    const room = files.slice(0, this.queue.room);
    const checks = room.map((file) => this.#check(file));
    const live = visit.live;
    if (checks.length) visit.addAll(checks, live && visit.selected === live ? null : checks[0]);
    const good = checks.filter((check) => {
      const trouble = refusal(/** @type {File} */ (check.file), facts);
      if (trouble) this.#failed(check, trouble);
      return !trouble;
    });
    this.queue.add(good);
    this.dispatchEvent(new CustomEvent("said", { detail: { left_out, cut, over: files.length - room.length } }));
  }

  /** Once more: what failed, in its place; what has a result, as a new check with the setting of now. @param {Check} check */
  again(check) {
    if (check.phase === "failed") {
      if (!this.queue.room) return;
      this.page.visit.changed(check, { trouble: null, phase: "waiting", progress: 0, wait_until: 0, started_at: new Date(), profile: this.page.settings.choices.profile });
      this.queue.add([check]);
    } else if (check.file) this.add([check.file]);
  }

  /** One, or everything that waits. @param {Check} [check] */
  cancel(check) {
    if (check) {
      const waited = check !== this.queue.running;
      this.queue.cancel(check);
      if (waited && check.phase === "waiting") this.#cancelled(check);
    } else for (const waited of this.queue.cancelWaiting()) this.#cancelled(waited);
  }

  /** @param {File} file */
  #check(file) {
    const { settings, words } = this.page;
    const check = new Check({ kind: "file", source: words.file.chosen(file.name, file.size), profile: settings.choices.profile, file });
    check.phase = "waiting";
    check.again = () => this.again(check);
    return check;
  }

  /** @param {Check} check @param {AbortSignal} signal */
  async #send(check, signal) {
    const { visit, facts, base, keyring } = this.page;
    const url = new URL("v1/detect", base);
    url.searchParams.set("profile", check.profile);
    url.searchParams.set("detail", "full"); // each window's level, bandwidth and clipping, which the chart and the exports tell
    visit.changed(check, { phase: "uploading", progress: 0, ahead: 0, trouble: null });
    const answer = await new Upload({
      url: url.href,
      limits: facts,
      headers: keyring.headers(),
      signal,
      onProgress: (progress) => visit.changed(check, { phase: progress < 1 ? "uploading" : "checking", progress }),
    }).send(/** @type {File} */ (check.file)).catch((trouble) => {
      throw keyring.told(trouble);
    });
    visit.changed(check, { phase: "result", found: findingsOfFile(answer), progress: 1 });
  }

  /** @param {Check} check @param {Trouble} trouble */
  #failed(check, trouble) {
    if (trouble.key === "aborted") this.#cancelled(check);
    else this.page.visit.changed(check, { phase: "failed", trouble, wait_until: performance.now() + (trouble.wait_ms ?? 0) });
  }

  /** @param {Check} check */
  #cancelled(check) {
    this.page.visit.remove(check);
  }

  /** Whether the connection of a recording is behind, now and no longer. */
  #look() {
    const behind = BEHIND.includes(this.page.visit.live?.status?.kind ?? "");
    if (behind === this.#behind) return;
    this.#behind = behind;
    this.queue.go();
    this.#waiting();
  }

  /** Tells those in line how many are before them, and what the line waits for. */
  #waiting() {
    const { waiting, running, held, held_until } = this.queue;
    const trouble = held ?? (this.#behind && !running ? new Trouble("behind") : null);
    waiting.forEach((check, index) => {
      this.page.visit.changed(check, { phase: "waiting", progress: 0, ahead: index + (running ? 1 : 0), trouble, wait_until: held_until });
    });
  }

  /** What was taken out of the visit's list is not sent. */
  #dropGone() {
    const { checks } = this.page.visit;
    for (const check of [this.queue.running, ...this.queue.waiting]) if (check && !checks.includes(check)) this.queue.cancel(check);
  }

  #keyCame() {
    if (!this.page.settings.choices.key) return;
    if (wantsKey(this.queue.held)) this.queue.release();
  }

  /** @param {HTMLElement} sign */
  #wireDrop(sign) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let left;
    const hide = () => {
      clearTimeout(left);
      sign.hidden = true;
    };
    window.addEventListener("dragover", (event) => {
      const { target, dataTransfer } = event;
      if (!dataTransfer || (target instanceof Element && target.closest("input, textarea"))) return;
      event.preventDefault(); // or the browser would leave the page, and a recording, for the file or the link
      if (!hasFiles(dataTransfer)) return void (dataTransfer.dropEffect = "none");
      clearTimeout(left);
      left = setTimeout(hide, DRAGGED_MS);
      sign.hidden = false;
    });
    window.addEventListener("drop", (event) => {
      hide();
      if (hasFiles(event.dataTransfer)) this.#take(event, event.dataTransfer);
    });
    window.addEventListener("paste", (event) => {
      if (hasFiles(event.clipboardData)) this.#take(event, event.clipboardData);
    });
  }

  /** @param {Event} event @param {DataTransfer | null} transfer */
  #take(event, transfer) {
    event.preventDefault();
    if (transfer) void gather(transfer).then((gathered) => this.add(gathered.files, gathered));
  }
}
