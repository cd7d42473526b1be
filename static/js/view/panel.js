// The page's state -> what its panel, buttons, facts and notices say. Pure; view.js puts it on the page.
// @ts-check

import { whyWaiting } from "../files/rows.js";
import { headline } from "../found/verdict.js";

/**
 * @typedef {import("../check.js").Check} State
 *
 * @typedef {typeof import("../words/index.js").words} Words
 * @typedef {{tone: import("../found/verdict.js").Tone | "failed", letter: string, title: string, sentence: string, ranges: string[], status: string, warn: boolean}} Panel
 */

const QUIET_MS = 3000;
const RECENT_MS = 6000; // more speech than this is in no running verdict: windows have 4 s, and three of them are pooled
const BACK_MS = 4000; // how long "connected again" stands
const RANGES_SHOWN = 4;

/**
 * @param {State} state
 * @param {Words} words
 * @param {number} [now] performance.now()
 * @returns {Panel}
 */
export function panelOf(state, words, now = 0) {
  const { phase, found, trouble } = state;
  const plain = (/** @type {{title: string, basis: string}} */ { title, basis }) => ({ tone: /** @type {const} */ ("waiting"), letter: "", title, sentence: basis });
  const rest = { ranges: /** @type {string[]} */ ([]), status: "", warn: false };
  if (phase === "failed" && trouble) return { ...rest, tone: "failed", letter: "!", ...failed(state, words) };
  if (phase === "uploading") return { ...rest, ...plain(words.panel.uploading), letter: "…", sentence: words.file.progress(state.progress) };
  if (phase === "waiting") return { ...rest, ...plain({ title: words.wait.title, basis: whyWaiting(state, words) }), letter: "…" };
  if (phase === "checking") return { ...rest, ...plain(words.panel.checking), letter: "…" };
  if (phase === "asking" && state.input === "tab") return { ...rest, ...plain(words.controls.asking) };
  if (phase === "idle" || phase === "asking" || phase === "connecting") return { ...rest, ...plain(words.panel[phase]) };
  if (!found) return { ...rest, ...plain(words.panel.idle) };

  const head = headline(found);
  const warming = head.state === "warming";
  const panel = { ...rest, tone: head.tone, letter: words.letter[head.tone], title: words.name[head.tone], sentence: "" };
  const before = found.alarmed && head.tone !== "spoof" ? words.basis.earlier(found.alarmed.from_ms, found.alarmed.to_ms) : "";
  if (head.final) {
    const uncovered = found.done.from_ms ? before : ""; // a result that covers everything has it among its stretches
    const why = trouble ? `${/** @type {any} */ (words.trouble)[trouble.key]?.title ?? words.trouble.other.title}.` : ""; // it ended before it was told to
    return { ...panel, ...final(found, words), status: [uncovered, why].filter(Boolean).join(" "), warn: uncovered !== "" };
  }
  if (!found.windows) panel.sentence = words.basis.nothing;
  else if (!found.standing) panel.sentence = words.basis.anew; // the server was restarted, and has not judged since
  else if (!head.speech_ms) panel.sentence = words.basis.noSpeech;
  else if (warming) panel.sentence = words.basis.warming(head.speech_ms);
  else if (head.speech_ms > RECENT_MS) panel.sentence = words.basis.recent(head.speech_ms, head.state === "stable");
  else panel.sentence = words.basis[head.state === "stable" ? "stable" : "provisional"](head.speech_ms);
  if (phase === "finishing") return { ...panel, status: words.panel.finishing.basis };
  if (phase === "paused") {
    const heard = head.tone !== "waiting" && head.tone !== "no_speech";
    return { ...panel, ...(heard ? {} : { title: words.panel.paused.title, letter: "" }), status: `${heard ? `${words.panel.paused.title}. ` : ""}${words.panel.paused.basis}` };
  }
  if ((state.status?.kind === "waiting" || state.status?.kind === "connecting") && !warming && head.speech_ms) panel.sentence = words.lastVerdict(panel.title, head.speech_ms);
  const odd = statusOf(state, words, now);
  if (odd) return { ...panel, status: odd, warn: state.status?.kind !== "back" };
  // The running verdict is about the latest seconds: what was said before must not be forgotten over it.
  if (before) return { ...panel, status: before, warn: true };
  return { ...panel, status: !warming && found.quiet_ms >= QUIET_MS ? words.basis.quiet(found.quiet_ms) : "" };
}

/** @param {State} state @param {Words} words */
function failed({ trouble, found, wait_s }, words) {
  const entry = /** @type {any} */ (words.trouble)[trouble?.key ?? "other"] ?? words.trouble.other;
  const fact = trouble?.wait_ms ? wait_s : (trouble?.fact ?? "");
  const text = typeof entry.text === "function" ? entry.text(fact) : entry.text;
  const head = found && !found.done ? headline(found) : null;
  const status = head && head.state !== "warming" ? [words.lastVerdict(words.name[head.tone], head.speech_ms)] : [];
  if (found?.alarmed && head?.tone !== "spoof") status.push(words.basis.earlier(found.alarmed.from_ms, found.alarmed.to_ms));
  return { title: entry.title, sentence: text, status: status.join(" ") };
}

/** @param {import("../found/verdict.js").Findings} found @param {Words} words */
function final({ done, received_ms }, words) {
  if (done.verdict === "no_speech") return { sentence: words.basis.finalNoSpeech(received_ms) };
  const many = done.channels.length > 1;
  const ranges = done.spoof_ranges.slice(0, RANGES_SHOWN).map((/** @type {any} */ range) => words.basis.range(range, many));
  const hidden = done.spoof_ranges.length - ranges.length;
  const parts = [words.basis.final(done.speech_ms, done.duration_ms)];
  if (done.from_ms) parts.push(words.basis.finalPart(done.from_ms));
  const whole = !many && done.spoof_ranges.length === 1 && done.spoof_ranges[0].end_ms - done.spoof_ranges[0].start_ms > 0.95 * done.duration_ms;
  if (done.verdict === "spoof" && whole) return { sentence: [...parts, words.basis.all].join(" ") };
  // A middling score beside "machine-made" would puzzle: the stretches decide, not the mean.
  const apart = done.score !== null && done.spoof_ranges.every((/** @type {any} */ range) => done.score < 0.8 * range.score);
  if (ranges.length) parts.push(apart ? words.basis.yet(done.score, done.spoof_ranges) : words.basis.ranges(done.spoof_ranges));
  return { sentence: parts.join(" "), ranges: hidden ? [...ranges, words.basis.more(hidden)] : ranges };
}

/** @param {State} state @param {Words} words @param {number} now */
function statusOf({ status, wait_s }, words, now) {
  if (!status) return "";
  switch (status.kind) {
    case "waiting":
      return words.connection.waiting(wait_s);
    case "connecting":
      return words.connection.connecting;
    case "back":
      return now - status.at < BACK_MS ? words.connection.back : "";
    case "held":
      return words.notice.held(status.behind_ms ?? 0);
    case "suspended":
      return words.notice.suspended;
    default: // what live/condition.js knows
      return words.controls.condition[status.kind](status.behind_ms ?? 0);
  }
}

/**
 * What the buttons say and do. While something is listened to, they are about that, whatever is on show.
 * @param {State} shown
 * @param {Words} words
 * @param {State | null} [live] the recording that is going on
 * @returns {{primary: string, primaryOn: boolean, act: "start" | "stop" | "cancel" | "retry", fileOn: boolean}}
 */
export function buttonsOf(shown, words, live = null) {
  const { phase, trouble, wait_s } = live ?? shown;
  const { start, stop, cancel, retry } = words.button;
  if (phase === "connecting" || phase === "listening" || phase === "paused") return { primary: stop, primaryOn: true, act: "stop", fileOn: false };
  if (phase === "asking" || phase === "finishing") return { primary: cancel, primaryOn: true, act: "cancel", fileOn: false };
  // More files may be added to the line while one is sent.
  if (phase === "waiting" || phase === "uploading" || phase === "checking") return { primary: cancel, primaryOn: true, act: "cancel", fileOn: true };
  if (phase === "failed" && trouble?.wait_ms !== undefined) return { primary: retry, primaryOn: wait_s <= 0, act: "retry", fileOn: true };
  const able = !["insecure", "unsupported"].includes(trouble?.key ?? "");
  return { primary: start, primaryOn: able, act: "start", fileOn: true };
}

/**
 * @param {State} state
 * @param {Words} words
 */
export function factsOf({ phase, found, captured_ms }, words) {
  const running = phase === "connecting" || phase === "listening" || phase === "paused" || phase === "finishing";
  if (!found?.windows && !found?.done && !running) return { time: words.none, speech: words.none, score: words.none, first: words.none, lag: words.none, windows: words.none };
  const { score, speech_ms, state } = headline(found);
  return {
    time: words.clock(running ? Math.max(captured_ms, found.received_ms) : found.received_ms),
    speech: words.length(speech_ms),
    score: words.score(state === "warming" ? null : score), // nothing is claimed while warming up
    first: words.lag(found.first?.after_ms ?? null),
    lag: words.lag(found.lag_ms),
    windows: String(found.windows),
  };
}

/**
 * @param {import("../found/verdict.js").Notice} notice
 * @param {Words} words
 */
export function sentenceOf({ kind, code = "", message = "", at_ms = 0, to_ms = 0, missing_ms = 0, lasted_ms = 0, times }, words) {
  const own = /** @type {any} */ (words.notice)[code];
  const text = {
    alert: () => words.notice.alert,
    cleared: () => words.notice.cleared,
    dropped: () => words.notice.dropped(at_ms, to_ms),
    restarted: () => words.notice.restarted(missing_ms),
    warning: () => words.warning[code] ?? message,
    error: () => (typeof own === "string" ? own : (/** @type {any} */ (words.trouble)[code]?.text ?? message)),
    altered: () => words.notice.altered(message),
    paused: () => words.controls.paused(lasted_ms),
  }[kind]();
  return times > 1 ? `${text} (${words.notice.times(times)})` : text;
}
