// One listening session over WS /v1/stream (`voxproof.v1`): samples in, the server's messages out, however often the connection breaks.
// No DOM and no audio API; the socket, the clock and the dice are injected, so tests drive it. Used by live.js.
//
// Events (CustomEvent, content in `detail`):
//   message    {type, ...}         a message of the server; times are on the recording's axis, also after a restart
//   connection {state, attempt, retry_in_ms}   state: connecting | open | waiting
//   held       {held, behind_ms}   back-pressure: audio waits here, nothing is lost
//   dropped    {from_ms, to_ms}    audio that fell out of the backlog unsent: silence goes in its place, so that time stays right
//   overrun    {}                  the connection is too slow for live audio: the recording ends here, what is kept is still sent
//   restarted  {at_ms, missing_ms} the server lost the session; a new one goes on from there
//   end        {reason, code, message, retry_after_ms, trouble}   once. reason: done | refused | unreachable | lost | failed | aborted
// @ts-check

import { Backlog } from "./backlog.js";
import { Heard } from "./heard.js";
import { pauseBefore, worthRetrying } from "./retry.js";
import { onAxis } from "../found/time.js";
import { Timers, realClock } from "./timers.js";

const KEEP_MS = 60_000; // as long as the server parks a broken session by default
const GIVE_UP_MS = 120_000;
const READY_MS = 10_000; // from opening the socket to `ready`
const SILENT_MS = 15_000; // the server acknowledges each second of audio: this long without a word is a dead connection
const KEEPALIVE_MS = 10_000;
const DONE_MS = 30_000; // from `stop` to `done`
const MIN_NEW_MS = 1000; // less than this is not worth a new session
const PIECE_MS = 250; // sent at once when there is a backlog
const HOLD_MS = 2000; // audio in the socket's own buffer at which we hold back,
const RELEASE_MS = 500; // and at which we go on

/**
 * @typedef {{send(data: string | ArrayBufferView): void, close(code?: number): void, bufferedAmount: number, binaryType: string,
 *   onopen: any, onmessage: any, onclose: any, onerror: any}} Socket
 * @typedef {import("./timers.js").Clock} Clock
 */

/** @type {(url: string, protocols: string[]) => Socket} */
const webSocket = (url, protocols) => new WebSocket(url, protocols);
/** What is offered where no key is asked for. */
const PLAIN = () => ["voxproof.v1"];

export class Stream extends EventTarget {
  /** @type {Socket | null} */ #ws = null;
  /** @type {"connecting" | "open" | "waiting" | "over"} */ #state = "connecting";
  /** @type {{session_id: string, resume_token: string} | null} */ #session = null;
  /** @type {any} */ #problem = null; // the last fatal `error`, which explains the close that follows
  #heard = new Heard();
  #base = 0; // where the server's session begins on the recording's axis, in samples: 0 unless it had to start anew
  #processed = 0; // same axis: everything before it is scored
  #sent = 0;
  #attempt = 0;
  #dialled = 0;
  #brokenAt = 0;
  #heardAt = 0;
  #wroteAt = 0;
  #everReady = false;
  #lostTo = 0;
  #ending = false;
  #stopSent = false;
  #held = false;
  #maxFrame = 1 << 20;
  /** @type {Timers} */ #timers;

  /**
   * @param {{url: string, rate: number, config?: object, socket?: (url: string, protocols: string[]) => Socket,
   *   protocols?: () => string[] | Promise<string[]>, clock?: Clock, random?: () => number}} options
   */
  constructor({ url, rate, config = {}, socket = webSocket, protocols = PLAIN, clock = realClock, random = Math.random }) {
    super();
    this.url = url;
    this.rate = rate;
    this.config = config;
    this.clock = clock;
    this.random = random;
    this.openSocket = socket;
    this.protocols = protocols; // asked before every try: a token of the last one may have ended
    this.backlog = new Backlog(this.#samples(KEEP_MS));
    this.#timers = new Timers(clock);
  }

  /** Opens the connection. Audio may be pushed before it stands. */
  open() {
    this.#brokenAt = this.clock.now();
    this.#connect();
  }

  /** @param {Int16Array} samples the next audio, at `rate` */
  push(samples) {
    if (this.#state === "over" || this.#ending) return;
    if (this.#held && this.backlog.end + samples.length - this.#sent > this.backlog.limit) {
      this.#tell("overrun", {});
      return this.finish();
    }
    this.backlog.push(samples);
    this.#pump();
  }

  /** The end of the recording: what is left is sent, then `done` comes. */
  finish() {
    if (this.#ending || this.#state === "over") return;
    this.#ending = true;
    if (!this.#everReady && !this.backlog.end) return this.#over({ reason: "aborted" });
    this.#pump();
  }

  /** Ends now, without a result. */
  abort() {
    this.#over({ reason: "aborted" });
  }

  /** Tries again at once instead of after the pause (the network came back). */
  retryNow() {
    if (this.#state === "waiting") this.#connect();
  }

  #connect() {
    this.#timers.stop("retry");
    this.#state = "connecting";
    this.#stopSent = false;
    this.#problem = null;
    this.#tell("connection", { state: "connecting", attempt: this.#attempt });
    this.#timers.after("ready", READY_MS, () => this.#cut());
    const offered = this.protocols();
    if (!(offered instanceof Promise)) return this.#dial(offered);
    const attempt = ++this.#dialled;
    offered.then(
      (protocols) => attempt === this.#dialled && this.#state === "connecting" && this.#dial(protocols),
      (trouble) => {
        if (attempt !== this.#dialled || this.#state !== "connecting") return;
        if (trouble.key === "unreachable") this.#closed(1006);
        else this.#over({ reason: "failed", trouble });
      },
    );
  }

  /** @param {string[]} protocols */
  #dial(protocols) {
    const ws = (this.#ws = this.openSocket(this.url, protocols));
    ws.binaryType = "arraybuffer";
    ws.onopen = () => ws.send(JSON.stringify(this.#start()));
    ws.onmessage = (/** @type {{data: any}} */ event) => {
      if (ws === this.#ws) this.#receive(event.data);
    };
    ws.onclose = (/** @type {{code: number}} */ event) => {
      if (ws === this.#ws) this.#closed(event.code);
    };
  }

  #start() {
    const audio = { encoding: "pcm_s16le", sample_rate: this.rate, channels: 1 };
    const resume = this.#session && { ...this.#session, last_seq: this.#heard.lastSeq };
    return { type: "start", protocol: "voxproof.v1", audio, config: this.config, ...(resume ? { resume } : {}) };
  }

  /** Treats the connection as broken without waiting for the network to notice. */
  #cut() {
    const ws = this.#ws;
    this.#closed(1006);
    ws?.close();
  }

  /** @param {number} code */
  #closed(code) {
    this.#ws = null;
    this.#timers.stop("ready", "watch", "pump", "done");
    this.#hold(false);
    const problem = this.#problem;
    const facts = { code: problem?.code, message: problem?.message, retry_after_ms: problem?.retry_after_ms, close_code: code };
    if (problem?.code === "unknown_session" || code === 4404) {
      return this.#session ? this.#restart() : this.#over({ reason: "failed", ...facts });
    }
    if (!this.#everReady) {
      if (code === 4503 || code === 4429) return this.#over({ reason: "refused", ...facts });
      return this.#over({ reason: problem || !worthRetrying(code) ? "failed" : "unreachable", ...facts });
    }
    if (!worthRetrying(code)) return this.#over({ reason: "failed", ...facts });
    if (this.#state === "open") this.#brokenAt = this.clock.now();
    if (this.clock.now() - this.#brokenAt > GIVE_UP_MS) return this.#over({ reason: "lost", ...facts });
    const pause = pauseBefore(this.#attempt++, this.random(), problem?.retry_after_ms);
    this.#state = "waiting";
    this.#tell("connection", { state: "waiting", attempt: this.#attempt, retry_in_ms: pause });
    this.#timers.after("retry", pause, () => this.#connect());
  }

  /** The server no longer knows the session: a new one takes over what the old one had not scored. */
  #restart() {
    this.#session = null;
    this.#heard.clear();
    const scored = this.#processed;
    if (this.#ending && this.#ms(this.backlog.end - scored) < MIN_NEW_MS) return this.#over({ reason: "lost", code: "result_lost" });
    this.#base = this.#sent = Math.max(this.backlog.start, scored);
    this.#tell("restarted", { at_ms: this.#ms(this.#base), missing_ms: this.#ms(this.#base - scored) });
    this.#connect();
  }

  // --- messages ------------------------------------------------------------------------------------------

  /** @param {any} data */
  #receive(data) {
    /** @type {any} */
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return; // not ours; the watch notices if nothing else comes
    }
    if (typeof message?.type !== "string") return;
    this.#heardAt = this.clock.now();
    if (this.#heard.again(message)) return;
    if (message.type === "ready") this.#greet(message);
    else if (message.type === "error" && message.fatal) this.#problem = message;
    else if (message.type === "segment" && !message.interim) this.#scored(message.end_ms);
    else if (message.type === "ack") this.#scored(message.processed_ms, true);
    this.#tell("message", onAxis(message, this.#ms(this.#base)));
    if (message.type === "done") this.#over({ reason: "done", code: this.#problem?.code, message: this.#problem?.message });
  }

  /** @param {number} ms of the server's session: what lies before it has its verdict @param {boolean} [kept] and need not be sent again, ever */
  #scored(ms, kept) {
    const to = this.#base + this.#samples(ms);
    this.#processed = Math.max(this.#processed, to);
    if (kept) this.backlog.forget(Math.min(this.#sent, to));
  }

  /** @param {any} ready */
  #greet(ready) {
    this.#timers.stop("ready");
    this.#state = "open";
    this.#attempt = 0;
    this.#everReady = true;
    this.#session = { session_id: ready.session_id, resume_token: ready.resume_token };
    this.#maxFrame = ready.limits?.max_frame_bytes ?? this.#maxFrame;
    if (ready.resume) this.#sent = this.#base + this.#samples(ready.resume.continue_from_ms);
    this.#tell("connection", { state: "open", attempt: 0 });
    this.#watch();
    this.#pump();
  }

  /** Notices a connection that is dead but not closed, and keeps an idle one alive. */
  #watch() {
    this.#timers.after("watch", 1000, () => {
      const now = this.clock.now();
      if (this.#wroteAt > this.#heardAt && now - this.#heardAt > SILENT_MS && !this.#held) return this.#cut();
      if (now - this.#wroteAt > KEEPALIVE_MS && !this.#stopSent) {
        this.#ws?.send('{"type":"keepalive"}');
        this.#wroteAt = this.#heardAt = now; // a keepalive is not answered
      }
      this.#watch();
    });
  }

  // --- audio out -----------------------------------------------------------------------------------------

  #pump() {
    const ws = this.#ws;
    if (this.#state !== "open" || !ws) return;
    const piece = Math.min(this.#samples(PIECE_MS), this.#maxFrame >> 1);
    while (this.#sent < this.backlog.end) {
      const lost = Math.max(this.#sent, this.#lostTo);
      if (this.backlog.start > lost) {
        this.#lostTo = this.backlog.start;
        this.#tell("dropped", { from_ms: this.#ms(lost), to_ms: this.#ms(this.#lostTo) });
      }
      const waiting_ms = this.#ms(ws.bufferedAmount / 2);
      if (waiting_ms > HOLD_MS || (this.#held && waiting_ms > RELEASE_MS)) {
        this.#hold(true);
        return this.#timers.after("pump", 100, () => this.#pump());
      }
      const to = Math.min(this.backlog.end, this.#sent + piece);
      ws.send(this.backlog.read(this.#sent, to));
      this.#sent = to;
      this.#wroteAt = this.clock.now();
    }
    this.#hold(false);
    if (this.#ending && !this.#stopSent) {
      this.#stopSent = true;
      ws.send('{"type":"stop"}');
      this.#awaitDone();
    }
  }

  #awaitDone() {
    this.#timers.after("done", DONE_MS, () => {
      if (this.clock.now() - this.#heardAt < DONE_MS) this.#awaitDone();
      else this.#over({ reason: "lost", code: "no_answer" });
    });
  }

  /** @param {boolean} held */
  #hold(held) {
    if (held || this.#held) this.#tell("held", { held, behind_ms: this.#ms(this.backlog.end - this.#sent) });
    this.#held = held;
  }

  /** @param {object} facts */
  #over(facts) {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#timers.stop();
    const ws = this.#ws;
    this.#ws = null;
    ws?.close(1000);
    this.#tell("end", facts);
  }

  /** @param {string} name @param {object} detail */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** @param {number} ms */
  #samples(ms) {
    return Math.floor((ms * this.rate) / 1000);
  }

  /** @param {number} samples */
  #ms(samples) {
    return Math.floor((samples * 1000) / this.rate);
  }
}
