// One session of listening: the input feeds the stream, the stream's messages feed the findings. No DOM. Used by listening.js.
//
// Events: change (phase, findings or status are new) · heard {samples, sent, levels {peak_dbfs, rms_dbfs, clipped}} · end {trouble}.
// Phases: asking, connecting, listening, paused, finishing, over.
// @ts-check

import { Condition } from "./condition.js";
import { Ear } from "./ear.js";
import { openInput } from "./input.js";
import { levels, toS16 } from "./pcm.js";
import { Stream } from "./stream.js";
import { Trouble, troubleOfEnd } from "../found/trouble.js";
import { Findings } from "../found/verdict.js";

const BEHIND_MS = 2000; // verdicts so late are said to be late,
const LEVEL_MS = 1000; // until they are not,
const STEP_MS = 500; // in figures that can be read

/**
 * @typedef {"asking" | "connecting" | "listening" | "paused" | "finishing" | "over"} Phase
 * @typedef {import("./condition.js").Status} Status
 */

export class Live extends EventTarget {
  /** @type {Phase} */ phase = "asking";
  /** @type {import("./input.js").Input | null} */ input = null;
  /** @type {Stream | null} */ stream = null;
  /** @type {Trouble | null} why the input ended before it was told to */ cut = null;
  found = new Findings();
  #ear = new Ear();
  #lag_ms = 0;
  #pausing = false;
  #pausedAt = 0;
  #over = false;

  /**
   * @param {{url: string, config?: object, wanted?: import("./input.js").Wanted, open?: typeof openInput, makeStream?: (options: any) => Stream,
   *   now?: () => number}} options
   */
  constructor({ url, config = {}, wanted = { source: "microphone", device: "" }, open = openInput, makeStream = (options) => new Stream(options), now = () => performance.now() }) {
    super();
    this.url = url;
    this.config = config;
    this.wanted = wanted;
    this.openInput = open;
    this.makeStream = makeStream;
    this.now = now;
    this.condition = new Condition(now);
  }

  /** @returns {Status | null} what is odd right now */
  get status() {
    return this.phase === "over" ? null : this.condition.said;
  }

  /** Sound taken in so far, in ms. */
  get captured_ms() {
    return this.stream ? (this.stream.backlog.end * 1000) / this.stream.rate : 0;
  }

  async start() {
    try {
      const input = await this.openInput(this.#listener(), this.wanted);
      if (this.#over) return void input.close(); // cancelled while the browser asked
      this.input = input;
    } catch (error) {
      return this.#end(error instanceof Trouble ? error : new Trouble("microphone", { fact: String(error), wait_ms: 0 }));
    }
    this.stream = this.makeStream({ url: this.url, rate: this.input.rate, config: this.config });
    this.#attach(this.stream);
    this.#enter("connecting");
    this.stream.open();
  }

  /** Nothing is heard or sent until `resume`; the session stays. */
  async pause() {
    if (this.phase !== "listening" || this.#pausing) return;
    this.#pausing = true;
    await this.input?.hold(); // its last samples still come
    this.#pausing = false;
    if (this.phase !== "listening") return; // it ended meanwhile
    this.#pausedAt = this.now();
    this.#rest();
    this.found.note({ kind: "paused", at_ms: Math.round(this.captured_ms) });
    this.#enter("paused");
  }

  resume() {
    if (this.phase !== "paused") return;
    this.#unpaused();
    this.input?.go();
    this.#enter("listening");
  }

  /** Changes the operating point from here on. @param {{profile: string}} config */
  update(config) {
    this.config = { ...this.config, ...config };
    this.stream?.update(config);
  }

  /** Ends the recording; the result follows. */
  async stop() {
    if (this.phase === "asking") return this.cancel();
    if (this.phase !== "connecting" && this.phase !== "listening" && this.phase !== "paused") return;
    if (this.phase === "paused") this.#unpaused();
    this.#rest();
    this.#enter("finishing");
    await this.input?.close(); // its last samples still come
    this.stream?.finish();
  }

  /** Ends everything, without a result. */
  cancel() {
    this.stream?.abort();
    this.#end(null);
  }

  /** @returns {import("./input.js").Listener} */
  #listener() {
    return {
      onBatch: (samples) => this.#hear(samples),
      onBeat: () => this.stream?.beat(),
      onGone: () => {
        this.cut ??= new Trouble(this.wanted.source === "tab" ? "shareEnded" : "unplugged");
        void this.stop();
      },
      onSuspended: (suspended) => {
        if (suspended && this.phase !== "paused") this.found.note({ kind: "error", code: "suspended", at_ms: this.captured_ms });
        this.#odd("suspended", suspended);
      },
      onMuted: (muted) => this.#odd("muted", muted && this.wanted.source === "microphone"), // a tab that plays nothing is "muted" to some browsers
    };
  }

  /** @param {Float32Array} samples */
  #hear(samples) {
    if (!this.stream || this.#over) return; // a tenth of a second at most, before the parts are connected or after the end
    const sent = toS16(samples);
    const level = levels(samples);
    const { end } = this.stream.backlog;
    this.stream.push(sent);
    if (this.stream.backlog.end === end) return; // it takes no more: what was not sent is no part of the recording
    this.#ear.hear(level, (samples.length * 1000) / this.stream.rate);
    if (this.phase !== "finishing") {
      this.#late();
      this.#odd(this.wanted.source === "tab" ? "silentTab" : "silent", this.#ear.silent);
      this.#odd("clipped", this.#ear.clipped);
    }
    this.#tell("heard", { samples, sent, levels: level });
  }

  /** @param {Stream} stream */
  #attach(stream) {
    const on = (/** @type {string} */ name, /** @type {(detail: any) => void} */ act) =>
      stream.addEventListener(name, (event) => act(/** @type {CustomEvent} */ (event).detail));
    on("message", (message) => {
      if (message.type === "segment") message = { ...message, behind_ms: Math.max(0, Math.round(this.captured_ms - message.end_ms)) };
      if (message.type === "ack") this.#lag_ms = message.lag_ms ?? 0;
      this.found.take(message);
      this.#tell("change");
    });
    on("connection", ({ state, retry_in_ms }) => {
      const broken = this.condition.has("waiting") || this.condition.has("connecting");
      if (state === "waiting") this.condition.link("waiting", { retry_in_ms });
      else if (state === "connecting" && broken) this.condition.link("connecting");
      else if (state === "open") {
        if (this.phase === "connecting") this.#enter("listening");
        if (broken) this.condition.link("back");
      }
      this.#tell("change");
    });
    on("held", ({ held, by, behind_ms }) => {
      this.condition.set("held", held && by !== "server" && { behind_ms });
      this.#tell("change");
    });
    on("dropped", ({ from_ms, to_ms }) => this.#note({ kind: "dropped", at_ms: from_ms, to_ms }));
    on("restarted", (event) => {
      this.found.restarted(event);
      this.#tell("change");
    });
    on("overrun", () => {
      this.#note({ kind: "error", code: "overrun" });
      void this.stop();
    });
    on("end", (detail) => this.#end(troubleOfEnd(detail) ?? this.cut));
  }

  /** Verdicts that come late, by the server's own word (`ack.lag_ms`) or as seen from here, are said to: whoever waits wants to know what for. */
  #late() {
    if (this.phase !== "listening" || this.condition.has("waiting") || this.condition.has("connecting")) return;
    const late_ms = Math.max(this.#lag_ms, this.captured_ms - this.found.processed_ms);
    if (late_ms >= BEHIND_MS) this.condition.set("behind", { behind_ms: Math.round(late_ms / STEP_MS) * STEP_MS });
    else if (late_ms < LEVEL_MS) this.condition.set("behind", false);
    if (this.condition.has("behind")) this.#tell("change");
  }

  #unpaused() {
    this.found.resumed(Math.round(this.now() - this.#pausedAt));
  }

  /** What was said of the sound, and of how late it is judged, is no longer so. */
  #rest() {
    this.#ear.rest();
    for (const kind of /** @type {const} */ (["silent", "silentTab", "clipped", "behind"])) this.condition.set(kind, false);
  }

  /** @param {import("./condition.js").Kind} kind @param {boolean} is */
  #odd(kind, is) {
    if (this.condition.has(kind) === is) return;
    this.condition.set(kind, is && {});
    this.#tell("change");
  }

  /** @param {Omit<import("../found/verdict.js").Notice, "times">} notice */
  #note(notice) {
    this.found.note(notice);
    this.#tell("change");
  }

  /** @param {Phase} phase */
  #enter(phase) {
    this.phase = phase;
    this.#tell("change");
  }

  /** @param {Trouble | null} trouble */
  #end(trouble) {
    if (this.#over) return;
    this.#over = true;
    this.phase = "over";
    void this.input?.close().catch(() => {}); // closed already when it was stopped
    this.#tell("end", { trouble });
  }

  /** @param {string} name @param {object} [detail] */
  #tell(name, detail = {}) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
