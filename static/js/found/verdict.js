// The server's messages, or an upload's answer -> what there is to show: standing, history, notices, result. Pure: no DOM, no clock.
// Used by live.js and main.js; view.js and plot.js only draw what is here.
// @ts-check

import { History } from "./history.js";

/**
 * @typedef {import("./history.js").VerdictName} VerdictName
 * @typedef {{verdict: VerdictName, score: number | null, speech_ms: number, as_of_ms: number, channel: number,
 *   state: "warming" | "provisional" | "stable"}} Standing
 * @typedef {{kind: "warning" | "alert" | "cleared" | "dropped" | "restarted" | "error" | "altered", code?: string, message?: string, at_ms?: number,
 *   to_ms?: number, missing_ms?: number, times: number}} Notice
 * @typedef {"waiting" | VerdictName} Tone
 */

const LAG_WINDOWS = 6;
const MOST_NOTICES = 20;

export class Findings {
  constructor() {
    /** @type {History[]} one a channel */
    this.lanes = [];
    /** @type {Notice[]} newest first */
    this.notices = [];
    /** @type {Map<number, Standing>} */
    this.standings = new Map();
    this.received_ms = 0;
    this.processed_ms = 0;
    /** @type {number[]} of the newest windows */
    this._lags = [];
    /** @type {number | null} media time of the newest speech */
    this.spoke_ms = null;
    this.windows = 0;
    /** @type {{from_ms: number, to_ms: number} | null} the latest stretch of the running verdict `spoof` that is over */
    this.alarmed = null;
    /** @type {number | null} since when the running verdict is spoof */
    this._alarmAt = null;
    /** @type {any} */
    this.model = null;
    /** @type {any} */
    this.config = null;
    /** @type {any} the `done` message, or the answer to an upload */
    this.done = null;
  }

  /** @param {any} message one message of the server */
  take(message) {
    switch (message.type) {
      case "ready":
        this.model = message.model;
        this.config = message.config;
        break;
      case "updated":
        this.config = message.config;
        break;
      case "segment":
        if (!message.interim) this._segment(message);
        break;
      case "verdict":
        this._verdict(message);
        break;
      case "ack":
        this.received_ms = Math.max(this.received_ms, message.received_ms);
        break;
      case "alert":
        this.note({ kind: message.cleared ? "cleared" : "alert", at_ms: message.at_ms });
        if (message.cleared) this._calm(message.at_ms);
        else this._alarmAt = message.at_ms;
        break;
      case "warning":
        this.note({ kind: "warning", code: message.code, message: message.message, at_ms: message.range_ms?.[0], to_ms: message.range_ms?.[1] });
        break;
      case "error":
        if (!message.fatal) this.note({ kind: "error", code: message.code, message: message.message });
        break;
      case "done":
        this._done(message);
    }
  }

  /**
   * Adds a notice; the same one again only counts up, and moves to the top.
   * @param {Omit<Notice, "times">} notice
   */
  note(notice) {
    const same = notice.kind === "warning" || notice.kind === "error";
    const before = same ? this.notices.find((n) => n.kind === notice.kind && n.code === notice.code) : undefined;
    this.notices = [{ ...notice, times: (before?.times ?? 0) + 1 }, ...this.notices.filter((n) => n !== before)].slice(0, MOST_NOTICES);
  }

  /**
   * The server lost the session and a new one went on; what it had not scored and we no longer had is a gap.
   * @param {{at_ms: number, missing_ms: number}} event
   */
  restarted({ at_ms, missing_ms }) {
    this.note({ kind: "restarted", at_ms, missing_ms });
    if (missing_ms) for (const lane of this.lanes) lane.gap(at_ms - missing_ms, at_ms);
    this.standings.clear();
    this._calm(at_ms);
  }

  /** @param {number} at_ms */
  _calm(at_ms) {
    if (this._alarmAt !== null) this.alarmed = { from_ms: this._alarmAt, to_ms: at_ms };
    this._alarmAt = null;
  }

  /** The standing that speaks for all: the channel with the highest score. */
  get standing() {
    const all = [...this.standings.values()];
    return all.reduce((/** @type {Standing | null} */ top, s) => (!top || (s.score ?? -1) > (top.score ?? -1) ? s : top), null);
  }

  /** The worst lag of the newest windows; null for a file. */
  get lag_ms() {
    return this._lags.length ? Math.max(...this._lags) : null;
  }

  /** How long nothing was said, in ms of media, up to the newest window. */
  get quiet_ms() {
    return this.spoke_ms === null ? 0 : Math.max(0, this.processed_ms - this.spoke_ms);
  }

  /** @param {any} segment */
  _segment(segment) {
    while (this.lanes.length <= segment.channel) this.lanes.push(new History());
    this.lanes[segment.channel].add(segment);
    this.processed_ms = Math.max(this.processed_ms, segment.end_ms);
    this.received_ms = Math.max(this.received_ms, segment.end_ms);
    const lag = segment.behind_ms ?? segment.latency_ms; // as the page sees it, network and all; or the server's own
    if (lag !== undefined) this._lags = [...this._lags.slice(1 - LAG_WINDOWS), lag];
    this.windows++;
  }

  /** @param {any} message */
  _verdict(message) {
    const before = this.standings.get(message.channel);
    if (message.speech_ms > (before?.speech_ms ?? 0)) this.spoke_ms = message.as_of_ms;
    this.standings.set(message.channel, message);
  }

  /** @param {any} done */
  _done(done) {
    this.done = done;
    this.model = done.model ?? this.model;
    this.received_ms = this.processed_ms = Math.max(this.received_ms, (done.from_ms ?? 0) + done.duration_ms);
    for (const lane of this.lanes) lane.close(this.received_ms);
  }
}

/**
 * The findings of a whole list of messages.
 * @param {any[]} messages
 */
export function findings(messages) {
  const out = new Findings();
  for (const message of messages) out.take(message);
  return out;
}

/**
 * The answer of POST /v1/detect: the fields of `done` with `segments` and `warnings`.
 * @param {any} answer
 */
export function findingsOfFile(answer) {
  const segments = answer.segments.map((/** @type {any} */ s) => ({ ...s, type: "segment" }));
  const warnings = answer.warnings.map((/** @type {any} */ w) => ({ ...w, type: "warning" }));
  return findings([...segments, ...warnings, { ...answer, type: "done" }]);
}

/**
 * What the verdict panel says, as facts; words.js makes sentences of it.
 * @param {Findings} found
 * @returns {{tone: Tone, final: boolean, state: "warming" | "provisional" | "stable" | "final", score: number | null, speech_ms: number}}
 */
export function headline(found) {
  if (found.done) {
    const { verdict, score, speech_ms } = found.done;
    return { tone: verdict, final: true, state: "final", score, speech_ms };
  }
  const standing = found.standing;
  if (!standing) return { tone: "waiting", final: false, state: "warming", score: null, speech_ms: 0 };
  const { verdict, state, score, speech_ms } = standing;
  // While warming up nothing is claimed: the server's word then is no verdict yet.
  return { tone: state === "warming" ? (speech_ms ? "waiting" : "no_speech") : verdict, final: false, state, score, speech_ms };
}
