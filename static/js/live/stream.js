// One listening session over WS /v1/stream (`voxproof.v1`): samples in, the server's messages out, however often the connection breaks.
// No DOM and no audio API; the socket, the clock and the dice are injected, so tests drive it. Used by live.js.
//
// Events (CustomEvent, content in `detail`):
//   message    {type, ...}         a message of the server; times are on the recording's axis, also after a restart
//   connection {state, retry_in_ms}   state: connecting | open | waiting
//   held       {held, behind_ms, by}   back-pressure: audio waits here, nothing is lost. by: "line" (the socket is full) | "server" (its buffer is)
//   dropped    {from_ms, to_ms}    audio that fell out of the backlog unsent: silence goes in its place, so that time stays right
//   overrun    {}                  the connection is too slow for live audio: the recording ends here, what is kept is still sent
//   restarted  {at_ms, missing_ms} the server lost the session; a new one goes on from there
//   end        {reason, code, message, retry_after_ms, trouble}   once. reason: done | refused | unreachable | lost | failed | aborted
// @ts-check

import { Backlog } from "./backlog.js";
import { Flow } from "./flow.js";
import { Heard } from "./heard.js";
import { Line } from "./line.js";
import { Progress } from "./progress.js";
import { pauseBefore, worthRetrying } from "./retry.js";
import { onAxis } from "../found/time.js";
import { Timers, realClock } from "./timers.js";

const KEEP_MS = 60_000; // as long as the server parks a broken session by default
const GIVE_UP_MS = 120_000;
const READY_MS = 10_000; // from opening the socket to `ready`
const SILENT_MS = 15_000; // the server acknowledges each second of audio: owing it for so long without a word is a dead connection
const KEEPALIVE_MS = 10_000;
const DONE_MS = 30_000; // from `stop` to `done`
const MIN_NEW_MS = 1000; // less than this is not worth a new session
const PIECE_MS = 250; // sent at once when there is a backlog
/** refusals of a token that pass by themselves */ const PASSING = new Set(["unreachable", "full", "limited", "unready"]);

/** @type {(url: string, protocols: string[]) => import("./line.js").Socket} */
const webSocket = (url, protocols) => new WebSocket(url, protocols);
/** what is offered where no key is asked for */ const PLAIN = () => ["voxproof.v1"];

export class Stream extends EventTarget {
  /** @type {"connecting" | "open" | "waiting" | "over"} */ #state = "connecting";
  /** @type {{session_id: string, resume_token: string} | null} */ #session = null;
  /** @type {any} */ #problem = null; // the last fatal `error`, which explains the close that follows
  #heard = new Heard();
  #flow = new Flow();
  #attempt = 0;
  #brokenAt = 0;
  #heardAt = 0;
  #owedAt = 0;
  #everReady = false;
  #lostTo = 0;
  #ending = false;
  #stopSent = false;
  #changed = false; // the config, since the server heard it
  #held = false;
  #maxFrame = 1 << 20;
  /** @type {Timers} */ #timers;
  /** @type {Line} */ #line;
  /** @type {Progress} how far it has come */ #at;

  /**
   * @param {{url: string, rate: number, config?: object, socket?: (url: string, protocols: string[]) => import("./line.js").Socket,
   *   protocols?: () => string[] | Promise<string[]>, clock?: import("./timers.js").Clock, random?: () => number}} options
   */
  constructor({ url, rate, config = {}, socket = webSocket, protocols = PLAIN, clock = realClock, random = Math.random }) {
    super();
    this.rate = rate;
    this.config = config;
    this.clock = clock;
    this.random = random;
    this.#at = new Progress(rate);
    this.backlog = new Backlog(this.#at.samples(KEEP_MS));
    this.#timers = new Timers(clock);
    this.#line = new Line(
      { url, socket, protocols, now: () => clock.now() },
      {
        onOpen: () => this.#line.write(JSON.stringify(this.#start())),
        onMessage: (data) => this.#receive(data),
        onClosed: (code) => this.#closed(code),
        onRefused: (trouble) => this.#refused(trouble),
      },
    );
  }

  /** Opens the connection. Audio may be pushed before it stands. */
  open() {
    this.#brokenAt = this.clock.now();
    this.#connect();
  }

  /** @param {Int16Array} samples the next audio, at `rate` */
  push(samples) {
    if (this.#state === "over" || this.#ending) return;
    if (this.#held && this.backlog.end + samples.length - this.#at.sent > this.backlog.limit) {
      this.#tell("overrun", {});
      return this.finish();
    }
    this.backlog.push(samples);
    this.beat();
    this.#pump();
  }

  /** Audio came, or would have come if it were wanted: what is due is done, also while the browser slows this page's timers. */
  beat = () => this.#timers.catchUp();

  /** Changes the operating point of what is heard from now on. @param {{profile?: string, threshold?: number}} config */
  update(config) {
    this.config = { ...this.config, ...config };
    this.#changed = true;
    this.#tellConfig();
  }

  /** The end of the recording: what is left is sent, then `done` comes. */
  finish() {
    if (this.#ending || this.#state === "over") return;
    this.#ending = true;
    if (!this.#everReady && !this.backlog.end) return this.#over({ reason: "aborted" });
    this.#pump();
  }

  /** Ends now, without a result. */
  abort = () => this.#over({ reason: "aborted" });

  /** Tries again at once instead of after the pause (the network came back). */
  retryNow() {
    if (this.#state === "waiting") this.#connect();
  }

  #connect() {
    this.#timers.stop("retry");
    this.#state = "connecting";
    this.#stopSent = false;
    this.#problem = null;
    this.#tell("connection", { state: "connecting" });
    this.#timers.after("ready", READY_MS, () => this.#cut());
    this.#line.dial();
  }

  #start() {
    const audio = { encoding: "pcm_s16le", sample_rate: this.rate, channels: 1 };
    const resume = this.#session && { ...this.#session, last_seq: this.#heard.lastSeq };
    if (!resume) this.#changed = false; // it stands in this message
    return { type: "start", protocol: "voxproof.v1", audio, config: this.config, ...(resume ? { resume } : {}) };
  }

  /** @param {import("../found/trouble.js").Trouble} trouble */
  #refused(trouble) {
    if (trouble.key !== "unreachable" && !(this.#everReady && PASSING.has(trouble.key))) return this.#over({ reason: "failed", trouble });
    this.#problem = trouble.wait_ms ? { retry_after_ms: trouble.wait_ms } : null;
    this.#closed(1006);
  }

  /** Treats the connection as broken without waiting for the network to notice. */
  #cut() {
    this.#line.hangUp();
    this.#closed(1006);
  }

  /** @param {number} code */
  #closed(code) {
    this.#timers.stop("ready", "watch", "pump", "done");
    this.#hold(false);
    const problem = this.#problem;
    const facts = { code: problem?.code, message: problem?.message, retry_after_ms: problem?.retry_after_ms, close_code: code };
    if (problem?.code === "unknown_session" || code === 4404) return this.#session ? this.#restart() : this.#over({ reason: "failed", ...facts });
    if (!this.#everReady) {
      if (code === 4503 || code === 4429) return this.#over({ reason: "refused", ...facts });
      return this.#over({ reason: problem?.code || !worthRetrying(code) ? "failed" : "unreachable", ...facts });
    }
    if (!worthRetrying(code)) return this.#over({ reason: "failed", ...facts });
    if (problem?.retry_after_ms > GIVE_UP_MS) return this.#over({ reason: "refused", ...facts }); // a day's quota
    if (this.#state === "open") this.#brokenAt = this.clock.now();
    if (this.clock.now() - this.#brokenAt > GIVE_UP_MS) return this.#over({ reason: "lost", ...facts });
    const pause = pauseBefore(this.#attempt++, this.random(), problem?.retry_after_ms);
    this.#state = "waiting";
    this.#tell("connection", { state: "waiting", retry_in_ms: pause });
    this.#timers.after("retry", pause, () => this.#connect());
  }

  /** The server no longer knows the session: a new one takes over what the old one had not scored. */
  #restart() {
    this.#session = null;
    this.#heard.clear();
    const scored = this.#at.processed;
    if (this.#ending && this.#at.ms(this.backlog.end - scored) < MIN_NEW_MS) return this.#over({ reason: "lost", code: "result_lost" });
    this.#at.anew(Math.max(this.backlog.start, scored));
    this.#tell("restarted", { at_ms: this.#at.ms(this.#at.base), missing_ms: this.#at.ms(this.#at.base - scored) });
    this.#connect();
  }

  // --- messages ------------------------------------------------------------------------------------------

  /** @param {any} data */
  #receive(data) {
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
    else if (message.type === "ack" || (message.type === "segment" && !message.interim)) this.#at.heard(message);
    if (message.type === "ack") this.backlog.forget(this.#at.settled(message));
    this.#tell("message", onAxis(message, this.#at.ms(this.#at.base)));
    if (message.type === "done") this.#over({ reason: "done", code: this.#problem?.code, message: this.#problem?.message });
    else if (this.#held) this.#pump(); // the server may have room again
  }

  /** @param {any} ready */
  #greet(ready) {
    this.#timers.stop("ready");
    this.#state = "open";
    this.#attempt = 0;
    this.#everReady = true;
    this.#session = { session_id: ready.session_id, resume_token: ready.resume_token };
    this.#maxFrame = ready.limits?.max_frame_bytes ?? this.#maxFrame;
    this.#flow.greet(ready.limits?.max_buffer_seconds);
    if (ready.resume) this.#at.resumed(ready.resume.continue_from_ms);
    const { profile } = /** @type {{profile?: string}} */ (this.config);
    if (ready.resume && profile && profile !== (ready.config?.profile ?? profile)) this.#changed = true; // an update just before the break never came
    this.#tell("connection", { state: "open" });
    this.#tellConfig();
    this.#watch();
    this.#pump();
  }

  #tellConfig() {
    if (!this.#changed || this.#state !== "open" || this.#stopSent) return;
    this.#line.write(JSON.stringify({ type: "update", config: this.config }));
    this.#changed = false;
  }

  /** Notices a connection that is dead but not closed, and keeps an idle one alive. */
  #watch() {
    this.#timers.after("watch", 1000, () => {
      const now = this.clock.now();
      if (this.#at.owed && now - Math.max(this.#heardAt, this.#owedAt) > SILENT_MS && this.#flow.held !== "line") return this.#cut();
      if (now - this.#line.wroteAt > KEEPALIVE_MS && !this.#stopSent) this.#line.write('{"type":"keepalive"}');
      this.#watch();
    });
  }

  // --- audio out -----------------------------------------------------------------------------------------

  #pump() {
    if (this.#state !== "open") return;
    const piece = Math.min(this.#at.samples(PIECE_MS), this.#maxFrame >> 1);
    while (this.#at.sent < this.backlog.end) {
      const lost = Math.max(this.#at.sent, this.#lostTo);
      if (this.backlog.start > lost) {
        this.#lostTo = this.backlog.start;
        this.#tell("dropped", { from_ms: this.#at.ms(lost), to_ms: this.#at.ms(this.#lostTo) });
      }
      if (!this.#flow.free(this.#at.ms(this.#line.waiting / 2), this.#at.unjudged_ms)) {
        this.#hold(true);
        return this.#timers.after("pump", 100, () => this.#pump());
      }
      const to = Math.min(this.backlog.end, this.#at.sent + piece);
      const owed = this.#at.owed;
      this.#line.write(this.backlog.read(this.#at.sent, to));
      this.#at.sent = to;
      if (!owed && this.#at.owed) this.#owedAt = this.clock.now();
    }
    this.#hold(false);
    if (this.#ending && !this.#stopSent) {
      this.#stopSent = true;
      this.#line.write('{"type":"stop"}');
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
    if (held || this.#held) this.#tell("held", { held, by: this.#flow.held, behind_ms: this.#at.ms(this.backlog.end - this.#at.sent) });
    this.#held = held;
  }

  /** @param {object} facts */
  #over(facts) {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#timers.stop();
    this.#line.hangUp(1000);
    this.#tell("end", facts);
  }

  /** @param {string} name @param {object} detail */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
