// Evidence and pictures -> the printable report: one HTML file with all in it, no script, nothing fetched, in the page's language. Pure. Used by keep.js.
//
// It is saved and opened from disk; the page never shows it. Its own policy forbids whatever it does not need, so that the reader need not trust it either.
// @ts-check

import { html, Markup } from "./markup.js";
import { readable } from "./names.js";
import { paper } from "./paper.js";
import { clock } from "../found/time.js";

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'";
const LEVELS_DB = 1;

/**
 * @typedef {import("./evidence.js").Evidence} Evidence
 * @typedef {{url: string, from_ms: number, to_ms: number}} Picture `url`: data:image/png;base64,… The first shows all of it
 * @typedef {import("../words/index.js").Words} Words
 */

/**
 * @param {Evidence} evidence
 * @param {{words: Words, pictures: Picture[], audio_name: string}} with `audio_name`: of the file whose hash it states
 * @returns {string}
 */
export function reportOf(evidence, { words, pictures, audio_name }) {
  const { check, server, audio } = evidence;
  const say = words.keep.paper;
  const mark = audio.sha256 ? `SHA-256 ${audio.sha256}` : "Voxproof";
  return `<!doctype html>\n${html`<html lang="${evidence.language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="generator" content="Voxproof ${server.version}">
<title>${say.title}: ${check.name}</title>
<style>${new Markup(paper({ page: say.page, mark }))}</style>
</head>
<body>
<header><h1>${say.title}</h1><p class="by">${say.by(server.version ?? "")} · ${readable(evidence.times.exported_local)}</p></header>
<main>
<div class="case"><label><input name="case" autocomplete="off">${say.case}</label><label><input name="examiner" autocomplete="off">${say.examiner}</label><div><span class="line"></span>${say.signature}</div></div>
${verdict(evidence, words)}
${pictures.slice(0, 1).map((all) => picture(evidence, all, words))}
${reasons(evidence, words)}
${ranges(evidence, pictures.slice(1), words)}
${evidence.channels.length > 1 ? channels(evidence, words) : null}
${notices(evidence, words)}
${recording(evidence, words, audio_name)}
${detector(evidence, words)}
${made(evidence, words)}
<section><h2>${say.limits}</h2><ol>${evidence.limits.map((/** @type {string} */ text) => html`<li>${text}</li>`)}</ol></section>
<section><h2>${say.meaning}</h2><ul><li>${evidence.meaning.verdicts}</li><li>${say.score}: ${evidence.meaning.score}</li><li>${say.llr}: ${evidence.meaning.llr}</li></ul></section>
${windows(evidence, words)}
</main>
</body>
</html>`}\n`;
}

/** @param {Evidence} evidence @param {Words} words */
function verdict({ verdict: found, audio, limits, ranges: stretches, operating_point: point }, words) {
  const say = words.keep.paper;
  const tone = (found.final && found.verdict) || "none";
  const [title, ...rest] = found.in_words;
  const byStretches = tone === "spoof" && stretches.length > 0 && (found.score ?? 1) < (point.spoof_score ?? 0);
  return html`<section class="verdict ${tone}"><div class="badge" aria-hidden="true">${tone === "none" ? "!" : words.letter[/** @type {"spoof"} */ (tone)]}</div>
<div><h2>${title}</h2>${rest.map((/** @type {string} */ text) => html`<p>${text}</p>`)}${found.final ? null : html`<p>${say.notFinal}</p>`}${byStretches ? html`<p>${say.byStretches}</p>` : null}</div>
<dl class="figures"><div><dt>${say.score}</dt><dd>${words.score(found.score)}</dd></div><div><dt>${say.llr}</dt><dd>${number(found.llr, 2)}</dd></div>
<div><dt>${say.speech}</dt><dd>${words.length(found.speech_ms)}</dd></div><div><dt>${say.length}</dt><dd>${words.length(audio.duration_ms)}</dd></div></dl></section><p class="note">${limits[0]}</p>`;
}

/** @param {Evidence} evidence @param {Picture} all @param {Words} words */
function picture({ check, verdict: found }, { url }, words) {
  const say = words.keep.paper;
  return html`<section><h2>${say.picture}</h2><figure><img src="${url}" alt="${say.pictureOf(check.name, found.in_words[0])}"></figure></section>`;
}

/** @param {Evidence} evidence @param {Picture[]} closer @param {Words} words */
function ranges({ ranges: found, channels: all, verdict: { final } }, closer, words) {
  if (!final) return null; // they are a part of the result
  const say = words.keep.paper;
  const rows = found.map((/** @type {any} */ r) => [...(all.length > 1 ? [r.channel + 1] : []), exact(r.start_ms), exact(r.end_ms), words.length(r.end_ms - r.start_ms), share(r.score)]);
  return html`<section class="whole"><h2>${say.ranges}</h2>${rows.length ? table([...(all.length > 1 ? [say.channel] : []), say.from, say.to, say.length, say.score], rows) : html`<p>${say.noRanges}</p>`}</section>
${closer.map(({ url, from_ms, to_ms }) => html`<figure><img src="${url}" alt="${say.closeUp(from_ms, to_ms)}"><figcaption>${say.closeUp(from_ms, to_ms)}</figcaption></figure>`)}`;
}

/** @param {Evidence} evidence @param {Words} words */
function reasons({ reasons: all, verdict: found }, words) {
  if (!all.length) return null;
  return html`<section class="whole"><h2>${found.verdict === "uncertain" ? words.why.uncertain : words.why.other}</h2><ul>${all.map(({ said }) => html`<li>${said}</li>`)}</ul></section>`;
}

/** @param {Evidence} evidence @param {Words} words */
function channels({ channels: all }, words) {
  const say = words.keep.paper;
  const rows = all.map((/** @type {any} */ c) => [c.channel + 1, c.label ?? "", tagged(c.verdict, words), share(c.score), number(c.llr, 2), words.length(c.speech_ms)]);
  return html`<section class="whole"><h2>${say.channels}</h2>${table([say.channel, say.label, say.verdict, say.score, say.llr, say.speech], rows)}</section>`;
}

/** @param {Evidence} evidence @param {Words} words */
function notices({ notices: all, alerts }, words) {
  const say = words.keep.paper;
  // Of the page's notices only the last are kept; of alerts all.
  const others = all.filter(({ kind }) => kind !== "alert" && kind !== "cleared");
  const heard = alerts.map(({ at_ms, cleared }) => ({ at_ms, said: cleared ? words.notice.cleared : words.notice.alert }));
  const items = [...others, ...heard].sort((a, b) => (a.at_ms ?? 0) - (b.at_ms ?? 0)).map(({ at_ms, said }) => html`<li>${at_ms === undefined ? null : `${clock(at_ms)} · `}${said}</li>`);
  return html`<section><h2>${say.notices}</h2>${items.length ? html`<ul>${items}</ul>` : html`<p>${say.noNotices}</p>`}</section>`;
}

/** @param {Evidence} evidence @param {Words} words @param {string} audio_name */
function recording({ check, audio, verdict: found }, words, audio_name) {
  const say = words.keep.paper;
  const { kind } = check;
  /** @type {import("./seal.js").Heard["parts"]} */
  const parts = audio.server.parts.length > 1 || (audio.server.parts.length && !audio.server.sha256) ? audio.server.parts : [];
  const lost_s = audio.samples_lost && audio.rate_hz ? Math.ceil(audio.samples_lost / audio.rate_hz) : 0;
  const heard = audio.server.sha256 ? code(audio.server.sha256) : parts.length ? parts.map((p) => html`${say.serverPart(p.start_ms, p.end_ms)}: ${code(p.sha256)}<br>`) : say.noSha;
  const { same } = audio.server;
  return html`<section class="whole"><h2>${say.audio}</h2>${facts([
    [say.name, html`<bdi>${check.name}</bdi>`],
    [say.kind, say.kinds[/** @type {"file"} */ (kind)]],
    [say.bytes, audio.bytes && say.bytesOf(audio.bytes)],
    [say.rate, audio.rate_hz && say.format(audio.rate_hz)],
    [say.length, `${words.length(audio.duration_ms)} (${audio.duration_ms} ms)`],
    [say.basis, found.covers_from_ms ? say.part(found.covers_from_ms) : null],
    [say.sha[/** @type {"file"} */ (kind)], audio.sha256 ? code(audio.sha256) : say.noSha],
    [say.samplesSha, audio.samples_sha256 && code(audio.samples_sha256)],
    [say.serverSha, heard],
    [say.compared, html`<span class="${same === null ? "" : same ? "same" : "other"}">${same === null ? null : same ? "✓ " : "✗ "}${audio.server.said}</span>`],
  ])}${lost_s ? html`<p class="note">${say.lost(lost_s)}</p>` : null}${audio.sha256 ? verify(audio_name, words) : null}</section>`;
}

/** @param {string} name @param {Words} words */
function verify(name, words) {
  const say = words.keep.paper;
  const posix = `'${name.replaceAll("'", "'\\''")}'`;
  const commands = [["Linux", `sha256sum ${posix}`], ["macOS", `shasum -a 256 ${posix}`], ["Windows", `Get-FileHash -LiteralPath '${name.replaceAll("'", "''")}'`]];
  return html`<h3>${say.verify}</h3><ul class="verify">${commands.map(([system, command]) => html`<li><span>${system}</span>${code(command)}</li>`)}</ul><p class="note">${say.verifyText}</p>`;
}

/** @param {Evidence} evidence @param {Words} words */
function detector({ model, operating_point: point, meaning }, words) {
  const say = words.keep.paper;
  const named = (/** @type {string} */ name) => /** @type {Record<string, string>} */ (words.point.name)[name] ?? name;
  const before = point.asked.slice(0, -1).map(({ profile }, i) => say.pointUntil(named(profile), point.asked[i + 1].at_ms));
  return html`<section class="whole"><h2>${say.detector}</h2>${facts([
    [say.model, `${model.name} ${model.version}`],
    [say.modelSha, code(model.sha256)],
    [say.window, say.windowText(model)],
    [say.point, [named(point.name).toLowerCase() === point.name ? named(point.name) : `${named(point.name)} (${point.name})`, ...before].join("; ")],
    [say.thresholds, point.bonafide_score === null || point.spoof_score === null ? null : say.thresholdsText(point.bonafide_score, point.spoof_score)],
    [say.rates, point.rates ? `${say.ratesText(point.rates)} ${point.measured ? say.measured(point.measured) : ""}` : say.noRates],
    [say.calibration, meaning.calibration],
  ])}</section>`;
}

/** @param {Evidence} evidence @param {Words} words */
function made({ times, server, browser }, words) {
  const say = words.keep.paper;
  const time = (/** @type {string | null} */ local, /** @type {string | null} */ utc) => local && utc && `${readable(local)} · ${utc.replace("T", " ").replace(/\.\d+Z$/, "")} ${say.utc}`;
  return html`<section class="whole"><h2>${say.made}</h2>${facts([
    [say.started, time(times.started_local, times.started_utc)],
    [say.ended, time(times.ended_local, times.ended_utc)],
    [say.exported, time(times.exported_local, times.exported_utc)],
    [say.server, `${server.address} · Voxproof ${server.version ?? ""}`],
    [say.sessions, server.sessions.map(({ session_id }) => html`${code(session_id)} `)],
    [say.request, server.request_id && code(server.request_id)],
    [say.browser, browser],
  ])}<p class="note">${say.clockNote}${times.time_zone ? ` (${times.time_zone})` : ""}</p></section>`;
}

/** @param {Evidence} evidence @param {Words} words */
function windows({ segments, segments_left_out, model, channels: all }, words) {
  const say = words.keep.paper;
  const many = all.length > 1;
  const levels = segments.some((s) => s.quality);
  const heads = [...(many ? [say.channel] : []), say.from, say.to, say.verdict, say.score, "llr", say.speech, ...(levels ? [say.level] : [])];
  const rows = segments.map((s) => [
    ...(many ? [s.channel + 1] : []),
    exact(s.start_ms),
    exact(s.end_ms),
    tagged(s.verdict, words),
    share(s.score),
    number(s.llr, 2),
    `${(s.speech_ms / 1000).toFixed(2)} s`,
    ...(levels ? [s.quality ? `${number(s.quality.level_dbfs, LEVELS_DB)} dBFS` : "–"] : []),
  ]);
  return html`<section class="windows"><h2>${say.windows}</h2><p class="note">${say.windowsHint(segments.length, model.window_seconds)}</p>
${table(heads, rows)}${segments_left_out ? html`<p class="note">${say.leftOut(segments_left_out)}</p>` : null}</section>`;
}

/** @param {string[]} heads @param {unknown[][]} rows numbers and what looks like one stand to the right */
function table(heads, rows) {
  const right = heads.map((_, i) => rows.length > 0 && rows.every((row) => /^([\d−–.:]|> |< )/.test(String(row[i]))));
  const cell = (/** @type {unknown} */ value, /** @type {number} */ i) => (right[i] ? html`<td class="n">${value}</td>` : html`<td>${value}</td>`);
  return html`<div class="scroll"><table><thead><tr>${heads.map((head, i) => (right[i] ? html`<th scope="col" class="n">${head}</th>` : html`<th scope="col">${head}</th>`))}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map(cell)}</tr>\n`)}</tbody></table></div>`;
}

/** @param {[string, unknown][]} rows those without a value are left out */
function facts(rows) {
  const known = rows.filter(([, value]) => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && !value.length));
  return html`<dl class="facts">${known.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** @param {import("../found/history.js").VerdictName} name @param {Words} words */
const tagged = (name, words) => html`<span class="letter ${name}" aria-hidden="true">${words.letter[name]}</span>${words.name[name]}`;
/** @param {string} text */
const code = (text) => html`<code>${text}</code>`;
/** @param {number | null | undefined} value @param {number} digits */
const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−"));
/** 0:07.400 @param {number} ms */
const exact = (ms) => `${clock(ms)}.${String(Math.round(ms) % 1000).padStart(3, "0")}`;
/** A score, never 0 or 1: the detector is never certain. @param {number | null | undefined} score */
const share = (score) => (score === null || score === undefined ? "–" : score > 0.999 ? "> 0.999" : score < 0.001 ? "< 0.001" : score.toFixed(3));
