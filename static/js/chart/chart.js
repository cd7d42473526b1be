// The picture of the sound and of what was found in it, on one time axis: what is drawn, when, and what the buttons, the pointer and the keys do to it.
// In: the Check on show (`show`), the player's `playhead_ms`. Out: event `seek {ms}`, `picture()` for the report. Used by page.js, files/ and keep/.
//
// Drawing happens in one animation frame, only of layers that changed, and not at all while the page or the chart is out of sight:
//   the tracks (canvas #plot), the cursor and the playhead over them (#plot-over), the whole recording under them (#overview).
// @ts-check

import { Axis, Scale } from "./axis.js";
import { listenTo } from "./gestures.js";
import { Overlay } from "./overlay.js";
import { Overview } from "./overview.js";
import { Brush } from "./patterns.js";
import { paint } from "./picture.js";
import { llrOf, lookAt } from "./readout.js";
import { Screen } from "./screen.js";
import { prepared } from "./surface.js";
import { Table } from "./table.js";
import { layoutOf } from "./tracks.js";
import { at, put } from "../view/dom.js";

const BATCH_MS = 100; // sound comes in such batches: the picture runs so far behind, and smoothly
const OVERVIEW_MS = 500; // between two drawings of the overview while the sound runs on
const STEPS = 6; // a view, for who wants little motion: it goes on by so many steps

const canvas = (/** @type {string} */ id) => /** @type {HTMLCanvasElement} */ (at(id));

export class Chart extends EventTarget {
  #playhead = /** @type {number | null} */ (null);
  #cursor = /** @type {number | null} */ (null);
  #due = { frame: 0, tracks: false, over: false, overview: false };
  #overviewAt = 0;
  #visible = true;
  /** the newest batch: how much sound there was then, and when that was */
  #heard = { ms: 0, at: 0 };
  #shownNow_ms = 0;
  /** @type {WeakMap<object, Axis>} every check keeps what one looked at in it */
  #axes = new WeakMap();
  /** @type {Brush | null} */ #brush = null;

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    super();
    this.page = page;
    this.words = page.words;
    this.check = /** @type {import("../check.js").Check | null} */ (null);
    this.axis = new Axis();
    /** @type {import("./tracks.js").Scene} */
    this.scene = { found: null, sound: null, now_ms: 0, live: false, band: [0.5, 0.5], hint: "", soundless: "" };
    this.plot = canvas("plot");
    this.context = /** @type {CanvasRenderingContext2D} */ (this.plot.getContext("2d"));
    this.screen = new Screen();
    this.overlay = new Overlay(canvas("plot-over"), at("readout"), this.plot);
    this.overview = new Overview(canvas("overview"), (ms) => this.#moved(() => this.axis.pan(ms - this.axis.span_ms / 2 - this.axis.from_ms)));
    this.table = new Table(/** @type {HTMLDetailsElement} */ (at("chart-table")), () => ({ found: this.scene.found, from_ms: this.axis.from_ms, to_ms: this.axis.to_ms, words: this.words }));
    this.layout = layoutOf(0, 1);
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.#watch();
    this.#control();
  }

  /** @param {import("../check.js").Check} check */
  show(check) {
    this.scene = this.#sceneOf(check);
    const { now_ms: total_ms, live, found } = this.scene;
    const fresh = this.check !== check;
    if (fresh) {
      this.check = check;
      this.axis = this.#axes.get(check) ?? new Axis();
      this.#axes.set(check, this.axis);
      this.#cursor = null;
      this.#shownNow_ms = 0;
    }
    if (fresh || total_ms !== this.#heard.ms) this.#heard = { ms: total_ms, at: performance.now() };
    this.layout = layoutOf(this.layout.width, Math.max(1, found?.lanes.length ?? 1));
    this.axis.grow(this.#now(), live);
    attribute(this.plot, "aria-label", this.words.chart.label);
    attribute(this.plot, "aria-valuemax", String(Math.round(total_ms / 1000)));
    this.#facts(check);
    this.table.changed();
    this.redraw({ tracks: true, over: true, overview: fresh || !live || performance.now() - this.#overviewAt > OVERVIEW_MS });
  }

  /** @param {import("../check.js").Check} check @returns {import("./tracks.js").Scene} */
  #sceneOf(check) {
    const { found: all, sound } = check;
    const { words, page } = this;
    const { points, default_point } = page.facts;
    const live = check.kind === "live" && check.running;
    const found = all.windows || live || all.done ? all : null;
    const now_ms = Math.max(all.received_ms, check.captured_ms, sound?.duration_ms ?? 0);
    const band = points[all.config?.profile ?? check.profile] ?? points[default_point];
    return { found, sound, now_ms, live, band, hint: check.phase === "failed" ? "" : words.plot.empty, soundless: soundlessOf(check, words) };
  }

  /** Where the player is; null when it does not play this check. */
  get playhead_ms() {
    return this.#playhead;
  }

  set playhead_ms(ms) {
    if (ms === this.#playhead) return;
    this.#playhead = ms;
    // The view goes along with what is played, unless somebody is looking elsewhere on purpose.
    if (ms !== null && ms > this.axis.to_ms && ms < this.axis.to_ms + 1000) this.#moved(() => this.axis.pan(ms - this.axis.span_ms * 0.05 - this.axis.from_ms)); // the next page
    this.redraw({ over: true });
  }

  /** @param {number} from_ms @param {number} to_ms */
  reveal(from_ms, to_ms) {
    this.#moved(() => this.axis.reveal(from_ms, to_ms));
  }

  /**
   * All tracks on white paper, with a legend, for the report; of what is on show, or of another check.
   * @param {{check?: import("../check.js").Check | null, width?: number, from_ms?: number, to_ms?: number, dark?: boolean}} [options]
   * @returns {Promise<Blob>} PNG
   */
  picture({ check = this.check, width = 1000, from_ms = 0, to_ms, dark = false } = {}) {
    const scene = { ...(check ? this.#sceneOf(check) : this.scene), live: false };
    return paint(scene, { width, from_ms, to_ms: to_ms ?? Math.max(1000, scene.now_ms), words: this.words, brush: (scale) => (dark ? Brush.of(this.plot, scale) : Brush.paper(this.plot, scale)) });
  }

  /** @param {{tracks?: boolean, over?: boolean, overview?: boolean}} what is new */
  redraw({ tracks = false, over = false, overview = false }) {
    const due = this.#due;
    due.tracks ||= tracks;
    due.over ||= over || tracks;
    due.overview ||= overview;
    if (due.frame || !this.#visible) return;
    due.frame = requestAnimationFrame(() => {
      due.frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const { plot, scene, axis } = this;
    const width = plot.clientWidth;
    if (!width) return;
    const dpr = window.devicePixelRatio || 1;
    if (width !== this.layout.width) this.layout = layoutOf(width, this.layout.strips.length);
    const { layout } = this;
    if (plot.clientHeight !== layout.height) plot.style.height = this.overlay.canvas.style.height = `${layout.height}px`;
    if (this.#brush?.scale !== dpr) this.#brush = Brush.of(plot, dpr);
    const brush = this.#brush;

    const before = axis.from_ms;
    axis.grow(this.#now(), scene.live);
    const scale = this.screen.scaleOf(axis, layout, dpr);
    const due = this.#due;
    if (due.tracks || axis.from_ms !== before) {
      const moved = this.screen.drawn(layout, dpr);
      if (due.tracks || moved) {
        if (prepared(plot, this.context)) this.screen.draw(this.context, { ...scene, now_ms: this.#shownNow_ms }, { layout, scale, brush, words: this.words });
        due.over = true;
      }
    }
    if (due.over) this.#drawOver(scale, brush);
    if (due.overview) {
      this.overview.draw(scene, axis, brush, layout);
      this.#overviewAt = performance.now();
    }
    due.tracks = due.over = due.overview = false;
    this.#buttons();
    // The view slides on between two batches of sound.
    if (this.running && axis.following && !this.calm.matches && performance.now() - this.#heard.at < 1000) {
      this.redraw({ over: false });
    }
  }

  /** @param {Scale} scale @param {Brush} brush */
  #drawOver(scale, brush) {
    const { scene, words } = this;
    const look = this.#cursor === null ? null : lookAt(scene, Math.min(this.#cursor, Math.max(0, scene.now_ms - 1)), scale.px_ms);
    this.overlay.draw({ look, playhead_ms: this.#playhead, scale, layout: this.layout, brush, words });
  }

  /** Whether sound comes right now. */
  get running() {
    return this.scene.live && this.check?.phase === "listening";
  }

  /** How much sound the picture shows: what there is, or while it runs a smooth way there, so that it slides and does not jump with every batch. */
  #now() {
    const { ms, at } = this.#heard;
    if (!this.running || document.hidden) return (this.#shownNow_ms = ms);
    if (this.calm.matches) {
      const step = this.axis.span_ms / STEPS;
      this.#shownNow_ms = ms;
      return this.axis.following && ms > this.axis.span_ms ? Math.ceil(ms / step) * step : ms;
    }
    const aim = Math.min(ms, ms - BATCH_MS + (performance.now() - at));
    this.#shownNow_ms = aim < this.#shownNow_ms && this.#shownNow_ms - aim < 2 * BATCH_MS ? this.#shownNow_ms : aim;
    return this.#shownNow_ms;
  }

  /** @param {() => void} act on the axis */
  #moved(act) {
    act();
    this.table.changed();
    this.redraw({ tracks: true, overview: true });
  }

  /** @param {number | null} ms @param {boolean} [keep] in sight */
  #point(ms, keep = false) {
    this.#cursor = ms === null ? null : Math.max(0, Math.min(ms, this.axis.total_ms));
    if (keep && this.#cursor !== null) this.#moved(() => this.axis.keep(/** @type {number} */ (this.#cursor)));
    else this.redraw({ over: true });
  }

  /** @param {number} ms */
  #seek(ms) {
    if (!this.axis.total_ms) return;
    this.#point(ms);
    this.dispatchEvent(new CustomEvent("seek", { detail: { ms: /** @type {number} */ (this.#cursor) } }));
  }

  #watch() {
    const restyle = () => {
      this.#brush = null;
      this.screen.forget();
      this.redraw({ tracks: true, overview: true });
    };
    new ResizeObserver(() => this.redraw({ tracks: true, overview: true })).observe(this.plot);
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) matchMedia(query).addEventListener("change", restyle);
    new IntersectionObserver(([entry]) => {
      this.#visible = entry.isIntersecting;
      if (this.#visible) this.redraw({ tracks: true, overview: true });
    }).observe(/** @type {HTMLElement} */ (this.plot.closest(".chart")));
    document.addEventListener("visibilitychange", () => document.hidden || this.redraw({ tracks: true, overview: true }));
  }

  #control() {
    const scale = () => this.screen.scale;
    const cursor = () => this.#cursor ?? this.#playhead ?? (this.axis.following ? this.axis.total_ms : this.axis.from_ms + this.axis.span_ms / 2);
    const acts = {
      point: (/** @type {number | null} */ x) => this.#point(x === null ? null : scale().ms(x)),
      seek: (/** @type {number} */ x) => this.#seek(scale().ms(x)),
      pan: (/** @type {number} */ px) => this.#moved(() => this.axis.pan(px * scale().px_ms)),
      zoom: (/** @type {number} */ factor, /** @type {number | undefined} */ x) => this.#moved(() => this.axis.zoom(factor, x === undefined ? (this.#cursor ?? undefined) : scale().ms(x))),
      step: (/** @type {number} */ views) => this.#point(cursor() + (this.#cursor === null ? 0 : views * this.axis.span_ms), true),
      shift: (/** @type {number} */ views) => this.#moved(() => this.axis.pan(views * this.axis.span_ms)),
      edge: (/** @type {boolean} */ end) => this.#point(end ? this.axis.total_ms : 0, true),
      fit: () => this.#moved(() => this.axis.fit()),
      follow: () => this.scene.live && this.#moved(() => this.axis.follow()),
      choose: () => this.#seek(cursor()),
      leave: () => this.#point(null),
    };
    listenTo(this.plot, acts);
    at("chart-closer").addEventListener("click", () => acts.zoom(0.5, undefined));
    at("chart-wider").addEventListener("click", () => acts.zoom(2, undefined));
    at("chart-fit").addEventListener("click", acts.fit);
    at("chart-follow").addEventListener("click", acts.follow);
  }

  #buttons() {
    const { axis, scene } = this;
    const set = (/** @type {string} */ id, /** @type {boolean} */ on) => {
      const button = /** @type {HTMLButtonElement} */ (at(id));
      if (button.disabled === on) button.disabled = !on;
    };
    set("chart-closer", axis.total_ms > 0 && axis.span_ms > 500);
    set("chart-wider", axis.span_ms < axis.whole_ms);
    set("chart-fit", axis.total_ms > 0);
    set("chart-follow", scene.live);
    attribute(at("chart-fit"), "aria-pressed", String(axis.fitting && axis.total_ms > 0));
    attribute(at("chart-follow"), "aria-pressed", String(scene.live && axis.following));
  }

  /** @param {import("../check.js").Check} check */
  #facts({ found }) {
    const { words } = this;
    const standing = found.done ?? found.standing;
    const settled = standing && standing.state !== "warming" ? { llr: standing.llr, score: standing.score } : null;
    put(at("fact-llr"), llrOf(/** @type {any} */ (settled), words));
  }
}

/** Why there is no picture of the sound; "" when there is one. @param {import("../check.js").Check} check @param {import("../words/index.js").Words} words */
function soundlessOf({ kind, sound, picture, phase }, { chart }) {
  if (sound) return "";
  if (picture === "long") return chart.soundLong;
  if (picture === "unreadable") return chart.soundNone;
  if (picture === "reading") return chart.soundComing;
  return (kind === "file" && phase === "result") || phase === "failed" ? "" : chart.soundEmpty;
}

/** @param {HTMLElement} element @param {string} name @param {string} text */
function attribute(element, name, text) {
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}
