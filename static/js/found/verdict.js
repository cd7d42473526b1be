// The server's messages, or an upload's answer -> what there is to show: standing, history, notices, result. Pure: no DOM, no clock.
// Filled by live/live.js and files/files.js; view/, chart/ and keep/ only read it.
// @ts-check

import { History } from "./history.js";
import { Kept } from "./kept.js";

/**
 * @typedef {import("./history.js").VerdictName} VerdictName
 * @typedef {{verdict: VerdictName, score: number | null, speech_ms: number, as_of_ms: number, channel: number,
 *   state: "warming" | "provisional" | "stable"}} Standing
 * @typedef {{kind: "warning" | "alert" | "cleared" | "dropped" | "restarted" | "error" | "altered" | "paused", code?: string, message?: string, at_ms?: number,
 *   to_ms?: number, missing_ms?: number, lasted_ms?: number, times: number}} Notice
 * @typedef {{kind: string, at_ms: number, to_ms?: number}} Mark
 * @typedef {"waiting" | VerdictName} Tone
 */

const LAG_WINDOWS = 6;
const LOW_HOPS = 4; // quiet hops after which the server warns of a low level
const MOST_NOTICES = 20;
const MOST_MARKS = 400;
const MARKED = ["alert", "cleared", "dropped", "restarted", "paused"];

export class Findings {
  constructor() {
    /** @type {History[]} one a channel */
    this.lanes = [];
    /** @type {Notice[]} newest first */
    this.notices = [];
    /** @type {Mark[]} what the chart marks on its axis, in the order it came */
    this.marks = [];
    /** @type {{as_of_ms: number, speech_ms: number, after_ms: number} | null} when the running verdict first said anything, and how long after speech began */
    this.first = null;
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
    /** what was said, word for word, for the exports */
    this.kept = new Kept();
  }

  /** @param {any} message one message of the server */
  take(message) {
    this.kept.take(message);
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
        this.note({ kind: "warning", code: message.code, message: message.message, at_ms: this._since(message), to_ms: message.range_ms?.[1] });
        break;
      case "error":
        if (!message.fatal) this.note({ kind: "error", code: message.code, message: message.message });
        break;
      case "done":
        this._done(message);
    }
  }

  /** Where a warning begins: its range is that of a window, and a window that ends in silence may begin with a voice. @param {any} warning @returns {number | undefined} */
  _since({ code, range_ms }) {
    const quiet_ms = LOW_HOPS * 1000 * (this.config?.hop_seconds ?? 0.5);
    return code === "low_level" && range_ms ? Math.max(range_ms[0], range_ms[1] - quiet_ms) : range_ms?.[0];
  }

  /**
   * Adds a notice; the same one again only counts up, and moves to the top.
   * @param {Omit<Notice, "times">} notice
   */
  note(notice) {
    if (MARKED.includes(notice.kind) && notice.at_ms !== undefined) {
      const { kind, at_ms, to_ms } = notice;
      this.marks = [...this.marks.slice(1 - MOST_MARKS), to_ms === undefined ? { kind, at_ms } : { kind, at_ms, to_ms }];
    }
    const same = notice.kind === "warning" || notice.kind === "error";
    const before = same ? this.notices.find((n) => n.kind === notice.kind && n.code === notice.code) : undefined;
    this.notices = [{ ...notice, times: (before?.times ?? 0) + 1 }, ...this.notices.filter((n) => n !== before)].slice(0, MOST_NOTICES);
  }

  /** The pause that was noted last is over. @param {number} lasted_ms */
  resumed(lasted_ms) {
    const last = this.notices.find((notice) => notice.kind === "paused");
    this.notices = this.notices.map((notice) => (notice === last ? { ...notice, lasted_ms } : notice));
  }

  /**
   * The server lost the session and a new one went on; what it had not scored and we no longer had is a gap.
   * @param {{at_ms: number, missing_ms: number}} event
   */
  restarted({ at_ms, missing_ms }) {
    this.note({ kind: "restarted", at_ms, missing_ms });
    this.kept.restarted(at_ms);
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
    this.lanes[message.channel]?.activity.counted(message);
    if (message.state !== "warming") this.first ??= { as_of_ms: message.as_of_ms, speech_ms: message.speech_ms, after_ms: this._waited(message) };
  }

  /** From the first speech to a verdict, as the page sees it. Where in its hop speech began is not told: at the latest where it fits. @param {Standing} verdict */
  _waited({ as_of_ms, channel }) {
    const spoken = this.lanes[channel]?.activity.hops.find((hop) => hop.speech_ms > 0);
    const began_ms = spoken ? spoken.to_ms - spoken.speech_ms : 0;
    return Math.max(0, Math.round(as_of_ms - began_ms + (this._lags.at(-1) ?? 0)));
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
  const { segments: _, warnings: __, ...done } = answer; // they are kept once, in columns (kept.js)
  return findings([...segments, ...warnings, { ...done, type: "done" }]);
}

/**
 * What the verdict panel says, as facts; view/panel.js makes sentences of it.
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
