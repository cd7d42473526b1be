// A check -> everything known about it as one plain object, the content of the JSON export and of the report. Its shape is static/schema/check-1.json; whoever
// changes a field's meaning changes FORMAT. Pure but for what is given. Used by keep.js; csv.js and report.js read it.
// @ts-check

import { headline } from "../found/verdict.js";
import { panelOf, sentenceOf } from "../view/panel.js";
import { reasonsOf } from "../view/reasons.js";
import { localTime, plainAddress } from "./names.js";

export const FORMAT = "voxproof.check/1";

/**
 * @typedef {{check: import("../check.js").Check, facts: any, words: import("../words/index.js").Words, seal: import("./seal.js").Seal, address: string,
 *   now?: Date, zone?: string, browser?: string}} Known
 * @typedef {ReturnType<typeof evidenceOf>} Evidence
 */

/** @param {Known} known */
export function evidenceOf({ check, facts, words, seal, address, now = new Date(), zone = "", browser = "" }) {
  const { found, recording, file, trouble } = check;
  const { done, kept } = found;
  const base = plainAddress(address);
  const model = found.model ?? facts.model;
  const panel = panelOf(check, words);
  const failed = check.phase === "failed" && trouble;
  return {
    format: FORMAT,
    schema: new URL("static/schema/check-1.json", base).href,
    check: {
      name: file?.name ?? check.source,
      kind: check.kind === "file" ? "file" : "recording",
      state: check.running ? "running" : done ? "finished" : "failed",
      trouble: failed ? { key: failed.key, said: panel.title } : null,
    },
    times: {
      started_utc: check.started_at.toISOString(),
      started_local: localTime(check.started_at),
      ended_utc: check.ended_at?.toISOString() ?? null,
      ended_local: check.ended_at ? localTime(check.ended_at) : null,
      exported_utc: now.toISOString(),
      exported_local: localTime(now),
      time_zone: zone,
    },
    verdict: { ...verdictOf(found), in_words: [panel.title, panel.sentence, ...panel.ranges, panel.status].filter(Boolean) },
    reasons: reasonsOf(check, words, facts.points).map(({ key, text }) => ({ key, said: text })),
    channels: channelsOf(found),
    ranges: done?.spoof_ranges ?? [],
    alerts: kept.alerts,
    warnings: kept.warnings,
    notices: found.notices.map((notice) => ({ ...notice, said: sentenceOf(notice, words) })),
    audio: {
      sha256: seal.sha256,
      sha256_of: file ? "the file's bytes" : "the WAV file that the page offers",
      bytes: file?.size ?? (seal.bytes || null),
      duration_ms: found.received_ms,
      rate_hz: recording?.rate ?? null,
      encoding: recording ? "pcm_s16le" : null,
      channels: recording ? 1 : found.lanes.length || null,
      samples: recording?.samples ?? null,
      samples_lost: recording?.lost ?? null,
      samples_sha256: seal.samples_sha256,
      server: { sha256: seal.server?.sha256 ?? null, parts: seal.server?.parts ?? [], same: seal.agrees, why: seal.why, said: words.keep.agrees[seal.why ?? "unknown"] },
    },
    model: { name: model.name, version: model.version, sha256: model.sha256, sample_rate: model.sample_rate, window_seconds: model.window_seconds, hop_seconds: model.hop_seconds },
    operating_point: pointOf(check, facts),
    meaning: { score: words.keep.meaning.score, llr: words.keep.meaning.llr, calibration: words.keep.meaning.calibration, verdicts: words.keep.meaning.verdicts },
    limits: words.keep.limits,
    server: { address: base, version: facts.version ?? null, sessions: kept.sessions, request_id: done?.request_id ?? null, config: found.config },
    browser,
    language: words.language,
    segments_total: found.windows,
    segments_left_out: kept.segments.left_out,
    segments: [...kept.segments],
  };
}

/**
 * The object as text, a window a line.
 * @param {Evidence} evidence
 */
export function jsonOf(evidence) {
  const { segments, ...head } = evidence;
  const text = JSON.stringify(head, null, 2);
  const rows = segments.map((segment) => `    ${JSON.stringify(segment)}`);
  return `${text.slice(0, -2)},\n  "segments": [${rows.length ? `\n${rows.join(",\n")}\n  ` : ""}]\n}\n`;
}

/** @param {import("../found/verdict.js").Findings} found */
function verdictOf(found) {
  const { done, standing } = found;
  if (done) {
    const { verdict, score, llr, speech_ms, duration_ms } = done;
    return { verdict, score, llr, speech_ms, duration_ms, final: true, state: "final", covers_from_ms: done.from_ms ?? 0 };
  }
  const { state } = headline(found);
  const told = standing && state !== "warming";
  return {
    verdict: told ? standing.verdict : null,
    score: told ? standing.score : null,
    llr: told ? (/** @type {any} */ (standing).llr ?? null) : null,
    speech_ms: standing?.speech_ms ?? 0,
    duration_ms: found.received_ms,
    final: false,
    state,
    covers_from_ms: 0,
  };
}

/** The final ones; while there are none, the running ones. @param {import("../found/verdict.js").Findings} found */
function channelsOf({ done, standings }) {
  if (done) return done.channels;
  return [...standings.values()].map((/** @type {any} */ { type, seq, changed, ...standing }) => standing);
}

/** @param {import("../check.js").Check} check @param {any} facts */
function pointOf(check, facts) {
  const name = check.found.config?.profile ?? check.profile;
  const [below, above] = facts.points[name] ?? [null, null];
  const llr = (/** @type {number | null} */ score) => (score === null ? null : Number(Math.log(score / (1 - score)).toFixed(6)));
  return {
    name,
    bonafide_score: below,
    spoof_score: above,
    bonafide_llr: llr(below),
    spoof_llr: llr(above),
    rates: facts.rates?.[name] ?? null,
    measured: facts.measured ?? null,
    asked: check.found.kept.points,
  };
}
