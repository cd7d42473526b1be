// One session of listening: the microphone feeds the stream, the stream's messages feed the findings. No DOM. Used by listening.js.
//
// Events: change (phase, findings or status are new) · heard {samples, sent, levels {peak_dbfs, rms_dbfs}} · end {trouble}. Phases: asking, connecting, listening, finishing, over.
// @ts-check

import { openMicrophone } from "./microphone.js";
import { levels, toS16 } from "./pcm.js";
import { Stream } from "./stream.js";
import { Trouble, troubleOfEnd } from "../found/trouble.js";
import { Findings } from "../found/verdict.js";

/**
 * @typedef {"asking" | "connecting" | "listening" | "finishing" | "over"} Phase
 * @typedef {{kind: "waiting" | "connecting" | "back" | "held" | "suspended", at: number, retry_in_ms?: number, behind_ms?: number}} Status
 */

export class Live extends EventTarget {
  /** @type {Phase} */ phase = "asking";
  /** @type {Status | null} what is odd about the connection right now */ status = null;
  /** @type {import("./microphone.js").Microphone | null} */ microphone = null;
  /** @type {Stream | null} */ stream = null;
  /** @type {Trouble | null} why the microphone ended before it was told to */ cut = null;
  found = new Findings();
  #over = false;

  /** @param {{url: string, config?: object, open?: typeof openMicrophone, makeStream?: (options: any) => Stream}} options */
  constructor({ url, config = {}, open = openMicrophone, makeStream = (options) => new Stream(options) }) {
    super();
    this.url = url;
    this.config = config;
    this.openMicrophone = open;
    this.makeStream = makeStream;
  }

  /** Sound taken in so far, in ms. */
  get captured_ms() {
    return this.stream ? (this.stream.backlog.end * 1000) / this.stream.rate : 0;
  }

  async start() {
    try {
      const microphone = await this.openMicrophone({
        onBatch: (samples) => this.#hear(samples),
        onGone: () => {
          this.cut = new Trouble("unplugged");
          void this.stop();
        },
        onSuspended: (suspended) => {
          if (suspended) this.found.note({ kind: "error", code: "suspended", at_ms: this.captured_ms });
          this.#say(suspended ? "suspended" : null);
        },
      });
      if (this.#over) return void microphone.close(); // cancelled while the browser asked
      this.microphone = microphone;
    } catch (error) {
      return this.#end(error instanceof Trouble ? error : new Trouble("microphone", { fact: String(error), wait_ms: 0 }));
    }
    this.stream = this.makeStream({ url: this.url, rate: this.microphone.rate, config: this.config });
    this.#attach(this.stream);
    this.#enter("connecting");
    this.stream.open();
  }

  /** Ends the recording; the result follows. */
  async stop() {
    if (this.phase === "asking") return this.cancel();
    if (this.phase !== "connecting" && this.phase !== "listening") return;
    this.#enter("finishing");
    await this.microphone?.close(); // its last samples still come
    this.stream?.finish();
  }

  /** Ends everything, without a result. */
  cancel() {
    this.stream?.abort();
    this.#end(null);
  }

  /** @param {Float32Array} samples */
  #hear(samples) {
    if (!this.stream) return; // still connecting the parts: a tenth of a second at most
    const sent = toS16(samples);
    this.stream.push(sent);
    this.#tell("heard", { samples, sent, levels: levels(samples) });
  }

  /** @param {Stream} stream */
  #attach(stream) {
    const on = (/** @type {string} */ name, /** @type {(detail: any) => void} */ act) =>
      stream.addEventListener(name, (event) => act(/** @type {CustomEvent} */ (event).detail));
    on("message", (message) => {
      this.found.take(message.type === "segment" ? { ...message, behind_ms: Math.max(0, Math.round(this.captured_ms - message.end_ms)) } : message);
      this.#tell("change");
    });
    on("connection", ({ state, retry_in_ms }) => {
      if (state === "waiting") this.#say("waiting", { retry_in_ms });
      else if (state === "connecting" && this.status) this.#say("connecting");
      else if (state === "open") {
        if (this.phase === "connecting") this.#enter("listening");
        if (this.status) this.#say("back");
      }
    });
    on("held", ({ held, behind_ms }) => this.#say(held ? "held" : null, { behind_ms }));
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

  /** @param {Omit<import("../found/verdict.js").Notice, "times">} notice */
  #note(notice) {
    this.found.note(notice);
    this.#tell("change");
  }

  /** @param {Status["kind"] | null} kind @param {object} [facts] */
  #say(kind, facts = {}) {
    this.status = kind && { kind, at: performance.now(), ...facts };
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
    this.status = null;
    void this.microphone?.close().catch(() => {}); // closed already when it was stopped
    this.#tell("end", { trouble });
  }

  /** @param {string} name @param {object} [detail] */
  #tell(name, detail = {}) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
