// What the server said of one check, word for word, for the exports: every scored window in columns of numbers, alerts, warnings, names of sessions. Bounded:
// the first are kept and what comes later is counted, as the server's own records do. Pure. Filled by verdict.js, read by keep/evidence.js.
// @ts-check

/** @type {import("./history.js").VerdictName[]} */
const VERDICTS = ["bonafide", "spoof", "uncertain", "no_speech"];
const MOST_SEGMENTS = 1 << 16; // the longest session of a server is two hours: 14400 windows a channel; 4 MB when full
const MOST_NOTES = 1000;
const FIRST = 256;

/** Whole numbers always there, and numbers that may be missing: NaN in here, null or absent outside. */
const WHOLE = /** @type {const} */ (["index", "channel", "start_ms", "end_ms", "speech_ms"]);
const MAYBE = /** @type {const} */ (["score", "llr", "latency_ms", "behind_ms"]);
const QUALITY = /** @type {const} */ (["level_dbfs", "clipping", "bandwidth_hz"]);

/**
 * @typedef {{index: number, channel: number, start_ms: number, end_ms: number, verdict: import("./history.js").VerdictName, score: number | null, llr: number | null,
 *   speech_ms: number, latency_ms?: number, behind_ms?: number, quality?: {level_dbfs: number, clipping: number, bandwidth_hz: number | null}}} Segment
 *   `behind_ms`: how far behind the sound the page showed it, network and all; `latency_ms`: the server's own part of that
 */

export class Segments {
  length = 0;
  /** scored, and not kept: there was no room */
  left_out = 0;
  /** @type {Record<string, Int32Array | Float64Array>} */ #columns = {};
  #room = 0;

  constructor(most = MOST_SEGMENTS) {
    this.most = most;
  }

  /** @param {any} segment a message of the server */
  add(segment) {
    if (this.length === this.most) return void this.left_out++;
    if (this.length === this.#room) this.#grow(Math.min(this.most, Math.max(FIRST, 2 * this.#room)));
    const at = this.length++;
    const columns = this.#columns;
    columns.verdict[at] = VERDICTS.indexOf(segment.verdict);
    for (const name of WHOLE) columns[name][at] = segment[name] ?? 0;
    for (const name of MAYBE) columns[name][at] = segment[name] ?? NaN;
    for (const name of QUALITY) columns[name][at] = segment.quality?.[name] ?? NaN;
  }

  /** @param {number} at @returns {Segment} as it was sent */
  get(at) {
    const columns = this.#columns;
    const whole = (/** @type {typeof WHOLE[number]} */ name) => columns[name][at];
    const maybe = (/** @type {typeof MAYBE[number] | typeof QUALITY[number]} */ name) => (Number.isNaN(columns[name][at]) ? null : columns[name][at]);
    /** @type {Segment} */
    const segment = {
      index: whole("index"),
      channel: whole("channel"),
      start_ms: whole("start_ms"),
      end_ms: whole("end_ms"),
      verdict: VERDICTS[columns.verdict[at]],
      score: maybe("score"),
      llr: maybe("llr"),
      speech_ms: whole("speech_ms"),
    };
    const [latency_ms, behind_ms, level_dbfs] = [maybe("latency_ms"), maybe("behind_ms"), maybe("level_dbfs")];
    if (latency_ms !== null) segment.latency_ms = latency_ms;
    if (behind_ms !== null) segment.behind_ms = behind_ms;
    if (level_dbfs !== null) segment.quality = { level_dbfs, clipping: maybe("clipping") ?? 0, bandwidth_hz: maybe("bandwidth_hz") };
    return segment;
  }

  *[Symbol.iterator]() {
    for (let at = 0; at < this.length; at++) yield this.get(at);
  }

  /** @param {number} room */
  #grow(room) {
    for (const name of ["verdict", ...WHOLE, ...MAYBE, ...QUALITY]) {
      const column = name === "verdict" || WHOLE.includes(/** @type {any} */ (name)) ? new Int32Array(room) : new Float64Array(room);
      if (this.#room) column.set(this.#columns[name]);
      this.#columns[name] = column;
    }
    this.#room = room;
  }
}

export class Kept {
  segments = new Segments();
  /** @type {any[]} */ alerts = [];
  /** @type {any[]} */ warnings = [];
  /** @type {{session_id: string, from_ms: number}[]} more than one where the server was restarted; `from_ms` on the recording's axis */
  sessions = [];
  /** @type {{at_ms: number, profile: string}[]} the operating points asked for, each with the windows scored by then */
  points = [];
  #begins_ms = 0;

  /** @param {any} message one message of the server, or the answer to an upload as `done` */
  take(message) {
    const { type, seq, ...said } = message;
    if (type === "ready" || type === "done") this.#session(message.session_id);
    if (type === "ready" || type === "updated") this.#point(message.config?.profile);
    if (type === "segment" && !message.interim) this.segments.add(message);
    else if (type === "alert" && this.alerts.length < MOST_NOTES) this.alerts.push(said);
    else if (type === "warning" && this.warnings.length < MOST_NOTES) this.warnings.push(said);
  }

  /** The server began anew. @param {number} at_ms */
  restarted(at_ms) {
    this.#begins_ms = at_ms;
  }

  /** @param {string | undefined} profile */
  #point(profile) {
    const { segments } = this;
    if (!profile || this.points.at(-1)?.profile === profile || this.points.length === MOST_NOTES) return;
    this.points.push({ at_ms: segments.length ? segments.get(segments.length - 1).end_ms : this.#begins_ms, profile });
  }

  /** @param {string | undefined} session_id */
  #session(session_id) {
    if (session_id && this.sessions.at(-1)?.session_id !== session_id) this.sessions.push({ session_id, from_ms: this.#begins_ms });
  }
}
