// Plays the check on show: its file, or its recording once it has ended, from where the chart was clicked. Drives the chart's playhead. Used by page.js.
//
// One <audio> element for the whole page, so only one thing plays at a time; it holds one object URL, given back when something else comes on show.
// Never while listening: the microphone would hear it, and judge the loudspeaker.
// @ts-check

import { LONGEST_DECODED_MS } from "./picture.js";
import { Stretches } from "./stretches.js";
import { at, put } from "../view/dom.js";

const LISTENS = ["asking", "connecting", "listening"]; // a paused recording hears nothing
const SLOW_BYTES = 4 << 20; // the picture of a smaller file is there at once
const FLOATS_MS = 8000;
const FAR_S = 1e7; // beyond every end
const STEP_MS = 500; // of an arrow key in the slider; Page Up and Page Down go ten times as far

/** @returns {ScrollBehavior} */
const calm = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth");

/** @typedef {import("../check.js").Check} Check @typedef {import("./stretches.js").Range} Range */

export class Player {
  audio = new Audio();
  /** @type {Check | null} what is loaded */ check = null;
  /** @type {Range | null} it stops where this ends */ range = null;
  /** the browser cannot play it */ unplayable = false;
  #url = "";
  #from_ms = 0; // where in the check the sound that is kept begins
  #frame = 0;

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    const { visit, settings, chart } = (this.page = page);
    this.root = at("playback");
    this.button = /** @type {HTMLButtonElement} */ (at("play"));
    this.slider = /** @type {HTMLInputElement} */ (at("position"));
    this.stretches = new Stretches(page, (range) => this.playRange(range));
    visit.addEventListener("list", () => this.draw());
    visit.addEventListener("change", (event) => {
      const { check } = /** @type {CustomEvent} */ (event).detail;
      if (check === visit.selected || check === visit.live) this.draw();
    });
    settings.addEventListener("change", () => this.draw());
    chart.addEventListener("seek", (event) => this.playFrom(/** @type {CustomEvent} */ (event).detail.ms));
    this.button.addEventListener("click", () => this.toggle());
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    this.slider.addEventListener("keydown", (event) => this.#step(event));
    at("anew-again").addEventListener("click", () => this.check && page.files.again(this.check));
    // Before the chart's own keys: there Space would go to the cursor, as Enter does.
    document.querySelector(".chart")?.addEventListener("keydown", (event) => this.#space(/** @type {KeyboardEvent} */ (event)), { capture: true });
    this.#wireAudio();
    this.#wireFloat();
    this.draw();
  }

  get playing() {
    return !this.audio.paused;
  }

  /** Where it is, on the check's own axis. */
  get at_ms() {
    return this.#from_ms + this.audio.currentTime * 1000;
  }

  get length_ms() {
    const { duration } = this.audio;
    return Number.isFinite(duration) ? this.#from_ms + duration * 1000 : Math.max(this.check?.found.received_ms ?? 0, this.check?.captured_ms ?? 0);
  }

  /** Whether a microphone would hear it. */
  get blocked() {
    return LISTENS.includes(this.page.visit.live?.phase ?? "");
  }

  /** Whether there is something to play. */
  get able() {
    return this.#url !== "" && !this.unplayable;
  }

  toggle() {
    if (this.playing) this.audio.pause();
    else if (this.able && !this.blocked) {
      this.range = null;
      if (this.audio.ended) this.audio.currentTime = 0;
      this.#play();
    }
  }

  /** @param {number} ms */
  seek(ms) {
    if (!this.able) return;
    this.range = null;
    this.audio.currentTime = Math.max(0, (Math.min(ms, this.length_ms) - this.#from_ms) / 1000);
    this.#tick();
  }

  /** A click in the chart: goes there, and plays unless a microphone would hear it. @param {number} ms */
  playFrom(ms) {
    this.seek(ms);
    if (this.able && !this.blocked) this.#play();
  }

  /** Shows a stretch in the chart and plays it; once more on the one that plays: pause. @param {Range} range */
  playRange(range) {
    if (this.playing && this.range === range) return this.audio.pause();
    const room_ms = Math.max(1000, (range.end_ms - range.start_ms) / 2);
    document.querySelector("#plot")?.scrollIntoView({ block: "nearest", behavior: calm() });
    this.page.chart.reveal(Math.max(0, range.start_ms - room_ms), range.end_ms + room_ms);
    this.seek(range.start_ms);
    if (!this.able || this.blocked) return;
    this.range = range;
    this.#play();
  }

  draw() {
    const { visit, words } = this.page;
    const check = visit.selected;
    this.#load(check);
    if (this.blocked && this.playing) this.audio.pause();
    this.root.hidden = !check || (check.kind === "live" && (check.running || !check.recording)) || (check.phase === "failed" && !this.able);
    if (!check || this.root.hidden) return;
    this.button.disabled = this.slider.disabled = !this.able || this.blocked;
    this.button.dataset.playing = String(this.playing);
    put(at("play-text"), this.playing ? words.player.pause : words.player.play);
    put(at("playback-why"), this.#why(check));
    this.stretches.show(check);
    this.#anew(check);
    this.#tick();
  }

  #play() {
    this.audio.play().catch(() => this.draw()); // what is in the way is told by the element's own events
  }

  /** @param {Check | null} check */
  #load(check) {
    const ended = check && (check.file || !check.running) ? check : null;
    const kept = (ended?.file?.size ? ended.file : null) ?? (ended?.recording?.samples ? ended.recording : null);
    if (this.check === check && (this.#url !== "") === (kept !== null)) return;
    this.#unload();
    this.check = check;
    if (!kept) return;
    const recording = ended?.recording;
    this.#from_ms = kept === recording ? recording.from_ms : 0;
    this.#url = URL.createObjectURL(kept instanceof File ? kept : kept.wav());
    this.audio.src = this.#url;
  }

  #unload() {
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
    URL.revokeObjectURL(this.#url);
    Object.assign(this, { range: null, unplayable: false, check: null });
    this.#url = "";
    this.#from_ms = 0;
    this.page.chart.playhead_ms = null;
  }

  #wireAudio() {
    const { audio } = this;
    audio.preload = "metadata";
    for (const name of ["play", "pause", "ended", "durationchange", "seeked"]) audio.addEventListener(name, () => this.draw());
    audio.addEventListener("play", () => this.#run());
    audio.addEventListener("timeupdate", () => this.#stopAtEnd()); // a hidden page has no frames
    audio.addEventListener("error", () => {
      if (!audio.getAttribute("src")) return;
      this.unplayable = true;
      this.draw();
    });
    // A browser's own recordings (WebM, MP4 in parts) do not say how long they are: once at the end, it is known.
    audio.addEventListener("loadedmetadata", () => {
      if (Number.isFinite(audio.duration)) return;
      audio.addEventListener("durationchange", () => Number.isFinite(audio.duration) && (audio.currentTime = 0), { once: true });
      audio.currentTime = FAR_S;
    });
  }

  /** While it plays out of sight (a stretch was tapped, and the chart came up), its controls float at the bottom; and a little longer, to go on. */
  #wireFloat() {
    const room = at("transport-room");
    const { classList } = at("transport");
    let away = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let linger;
    const rest = () => {
      classList.remove("floating");
      room.style.minHeight = "";
    };
    const look = () => {
      clearTimeout(linger);
      const on = away && !this.root.hidden && (this.playing || classList.contains("floating"));
      if (!on) return rest();
      room.style.minHeight ||= `${room.offsetHeight}px`; // nothing moves
      classList.add("floating");
      if (!this.playing) linger = setTimeout(rest, FLOATS_MS);
    };
    new IntersectionObserver(([entry]) => {
      away = !entry.isIntersecting;
      look();
    }).observe(room);
    for (const name of ["play", "pause", "emptied"]) this.audio.addEventListener(name, look);
  }

  /** While it plays, the playhead moves with every frame. */
  #run() {
    cancelAnimationFrame(this.#frame);
    const next = () => {
      if (!this.playing) return;
      this.#stopAtEnd();
      this.#tick();
      this.#frame = requestAnimationFrame(next);
    };
    next();
  }

  /** Of a stretch. */
  #stopAtEnd() {
    if (this.range && this.at_ms >= this.range.end_ms) this.audio.pause();
  }

  /** The places that show where it is. */
  #tick() {
    const { words, chart } = this.page;
    const { at_ms, length_ms } = this;
    chart.playhead_ms = this.able && length_ms > 0 ? at_ms : null;
    this.slider.max = String(Math.max(1, length_ms));
    this.slider.value = String(at_ms);
    const times = this.able ? words.player.at(at_ms, length_ms) : "";
    if (put(at("times"), times)) this.slider.setAttribute("aria-valuetext", words.player.spoken(at_ms, length_ms));
    this.stretches.mark(this.playing ? this.range : null);
  }

  /** What there is to say about playback and picture. @param {Check} check */
  #why({ picture, file }) {
    const { player } = this.page.words;
    if (this.blocked) return player.listening;
    if (!file && !this.able) return player.noRecording;
    if (this.unplayable) return picture === "unreadable" ? player.neither : player.unplayable;
    if (picture === "long") return player.long(LONGEST_DECODED_MS);
    if (picture === "reading") return file && file.size > SLOW_BYTES ? player.reading : ""; // or it would only flash
    return picture === "unreadable" ? player.unreadable : "";
  }

  /** Another setting was chosen since: the file can be judged again with it. @param {Check} check */
  #anew({ file, phase, profile }) {
    const { words, settings } = this.page;
    const { profile: now } = settings.choices;
    const on = file !== null && phase === "result" && profile !== now;
    at("anew").hidden = !on;
    if (!on) return;
    put(at("anew-text"), words.visit.judgedAs(words.visit.point(profile)));
    put(at("anew-again"), words.visit.anew(words.visit.point(now)));
  }

  /** Space in the chart plays and pauses; on a button there it is the button's. @param {KeyboardEvent} event */
  #space(event) {
    const on = /** @type {HTMLElement} */ (event.target);
    if (event.key !== " " || !this.able || this.blocked || on.closest("button, input, select, a, summary")) return;
    event.preventDefault(); // or the page would scroll
    event.stopPropagation();
    if (!event.repeat) this.toggle();
  }

  /** A slider's own steps would be of a millisecond. @param {KeyboardEvent} event */
  #step(event) {
    const by = { ArrowRight: STEP_MS, ArrowUp: STEP_MS, ArrowLeft: -STEP_MS, ArrowDown: -STEP_MS, PageUp: 10 * STEP_MS, PageDown: -10 * STEP_MS }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    this.seek(this.at_ms + by);
  }
}
