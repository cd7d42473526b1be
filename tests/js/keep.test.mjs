// What is kept of a check: hashes, the columns of windows, JSON, CSV, report, snippets, names.

import { strict as assert } from "node:assert";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Check } from "../../static/js/check.js";
import { Kept, Segments } from "../../static/js/found/kept.js";
import { findingsOfFile } from "../../static/js/found/verdict.js";
import { csvOf } from "../../static/js/keep/csv.js";
import { evidenceOf, jsonOf } from "../../static/js/keep/evidence.js";
import { hashesOf } from "../../static/js/keep/hashes.js";
import { fileName, localTime, plainAddress } from "../../static/js/keep/names.js";
import { reportOf } from "../../static/js/keep/report.js";
import { samplesAt, Seal } from "../../static/js/keep/seal.js";
import { Sha256 } from "../../static/js/keep/sha256.js";
import { snippetsOf } from "../../static/js/keep/snippet.js";
import { Recording } from "../../static/js/live/recording.js";
import { LANGUAGES } from "../../static/js/words/index.js";
import { ramp } from "./fakes.mjs";

const { en, hi } = LANGUAGES;
const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");
const MODEL = { name: "standard", version: "0.1.0", sha256: "ab".repeat(32), sample_rate: 16000, window_seconds: 4, hop_seconds: 0.5, min_speech_seconds: 0.5 };
const FACTS = {
  model: MODEL,
  version: "0.1.0",
  points: { balanced: [0.3, 0.7] },
  rates: { balanced: { false_alarm: 0.08, miss: 0.06, uncertain: 0.24 } },
  measured: { held_back: true, bonafide: 700, spoof: 600 },
  max_audio_seconds: 1800,
  max_upload_bytes: 50 << 20,
};
const counts = { total: 3, spoof: 1, bonafide: 0, uncertain: 1, no_speech: 1 };
const ANSWER = {
  session_id: "s-1",
  duration_ms: 2087,
  speech_ms: 1760,
  verdict: "spoof",
  score: 0.714178,
  llr: 0.9158,
  channels: [{ channel: 0, label: null, verdict: "spoof", score: 0.714178, llr: 0.9158, speech_ms: 1760, segments: counts }],
  spoof_ranges: [{ channel: 0, start_ms: 625, end_ms: 2087, score: 0.828508 }],
  segments_total: 3,
  dropped_ms: 0,
  model: MODEL,
  segments: [
    { index: 0, channel: 0, start_ms: 0, end_ms: 1000, verdict: "no_speech", score: null, llr: null, speech_ms: 120 },
    { index: 1, channel: 0, start_ms: 0, end_ms: 1500, verdict: "uncertain", score: 0.450166, llr: -0.2, speech_ms: 860 },
    { index: 2, channel: 0, start_ms: 0, end_ms: 2000, verdict: "spoof", score: 0.852001, llr: 1.7504, speech_ms: 1760, quality: { level_dbfs: -21.5, clipping: 0, bandwidth_hz: null } },
  ],
  warnings: [{ code: "narrowband", message: "Telephone.", channel: 0, range_ms: [0, 2000] }],
  sha256: sha("file"),
  request_id: "77ce455e1fbf6564",
};

/** A file's check that is over, with its seal. */
async function checked(answer = ANSWER, name = "call.wav", bytes = "file") {
  const file = new File([bytes], name);
  const check = new Check({ kind: "file", source: `${name} · 1 KB`, profile: "balanced", file });
  check.found = findingsOfFile(answer);
  Object.assign(check, { phase: "result", started_at: new Date("2026-11-21T08:35:22Z"), ended_at: new Date("2026-11-21T08:35:23Z") });
  const seal = sealOf(check);
  await seal.begin();
  return { check, seal };
}

const sealOf = (check, more = {}) => new Seal({ check, keeps_records: true, hashes: hashesOf, ask: async () => ({ status: 404, content: null }), tell: () => {}, pause: async () => {}, ...more });
const evidence = ({ check, seal }, words = en) => evidenceOf({ check, seal, facts: FACTS, words, address: "https://me:secret@voice.example/app/?token=abc#x", now: new Date("2026-11-21T09:00:00Z"), zone: "Asia/Kolkata", browser: "Test" });

// --- hashes -----------------------------------------------------------------------------------------------

test("SHA-256 is that of the standard's own examples, and node's at every length around a block", () => {
  assert.equal(new Sha256().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(new Sha256().update(Buffer.from("abc")).hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  for (let length = 0; length < 200; length++) {
    const bytes = randomBytes(length);
    assert.equal(new Sha256().update(bytes).hex(), sha(bytes), `of ${length} bytes`);
  }
});

test("however the bytes are cut, the hash is the same; asking for it changes nothing", () => {
  for (let round = 0; round < 60; round++) {
    const bytes = randomBytes(Math.floor(Math.random() * 5000));
    const hash = new Sha256();
    for (let at = 0; at < bytes.length; ) {
      const to = Math.min(bytes.length, at + Math.floor(Math.random() * (round % 3 ? 200 : 2000)));
      hash.update(bytes.subarray(at, to));
      if (round % 5 === 0) assert.equal(hash.hex(), sha(bytes.subarray(0, to)));
      at = to;
    }
    assert.equal(hash.hex(), sha(bytes));
  }
});

test("a blob is hashed in slices, from several places on at once, and tells how far it is", async () => {
  const bytes = randomBytes(10_000);
  for (const slice_bytes of [1, 7, 64, 1000, 1 << 20]) {
    const parts = [];
    const hashes = await hashesOf(new Blob([bytes]), [0, 44, 9999, 20_000], { slice_bytes, told: (part) => parts.push(part) });
    assert.deepEqual(hashes, [sha(bytes), sha(bytes.subarray(44)), sha(bytes.subarray(9999)), sha("")]);
    assert.equal(parts.at(-1), 1);
    assert.ok(parts.every((part, i) => !i || part >= parts[i - 1]));
  }
  assert.deepEqual(await hashesOf(new Blob([]), [0]), [sha("")]);
});

// --- a recording ------------------------------------------------------------------------------------------

function recorded({ lost = false } = {}) {
  const check = new Check({ kind: "live", source: "Microphone · 48.0 kHz", profile: "balanced" });
  check.recording = new Recording(48000, lost ? { most_bytes: 4000, piece_bytes: 1000 } : {});
  for (let at = 0; at < 12_000; at += 480) check.recording.push(ramp(at, at + 480));
  check.found.take({ type: "ready", seq: 1, session_id: "s-9", model: MODEL, config: { profile: "balanced" } });
  check.found.take({ type: "done", seq: 2, session_id: "s-9", duration_ms: 250, speech_ms: 0, verdict: "no_speech", score: null, llr: null, channels: [], spoof_ranges: [] });
  check.phase = "result";
  return check;
}
const SAMPLES = Buffer.from(ramp(0, 12_000).buffer);

test("the WAV has an ordinary head, whose data chunk is found wherever it stands", async () => {
  const bytes = Buffer.from(await recorded().recording.wav().arrayBuffer());
  assert.equal(bytes.toString("latin1", 0, 4) + bytes.toString("latin1", 8, 16), "RIFFWAVEfmt ");
  assert.equal(bytes.readUInt32LE(4), bytes.length - 8);
  assert.deepEqual([bytes.readUInt16LE(20), bytes.readUInt16LE(22), bytes.readUInt32LE(24), bytes.readUInt16LE(34)], [1, 1, 48000, 16]);
  assert.equal(await samplesAt(new Blob([bytes])), 44);
  assert.deepEqual(bytes.subarray(44), SAMPLES);
  const chunk = Buffer.from("LIST\x06\0\0\0INFO\0\0", "latin1");
  assert.equal(await samplesAt(new Blob([bytes.subarray(0, 36), chunk, bytes.subarray(36)])), 44 + chunk.length);
  await assert.rejects(samplesAt(new Blob([randomBytes(100)])));
});

test("a recording's samples are compared with what the server received", async () => {
  const asked = [];
  const answering = (sha256, more = {}) => async (id) => {
    asked.push(id);
    return { status: 200, content: { state: "finished", audio: { sha256, parts: [] }, ...more } };
  };
  const check = recorded();
  const good = sealOf(check, { ask: answering(sha(SAMPLES)) });
  await good.begin();
  await good.begin();
  assert.deepEqual([good.state, good.agrees, good.why, good.samples_sha256], ["done", true, "same", sha(SAMPLES)]);
  assert.equal(good.sha256, sha(Buffer.from(await check.recording.wav().arrayBuffer())));
  assert.deepEqual(asked, ["s-9"], "asked once, by the session's name");

  const bad = sealOf(recorded(), { ask: answering(sha("other")) });
  await bad.begin();
  assert.deepEqual([bad.agrees, bad.why], [false, "different"]);
  const unsent = recorded();
  unsent.found.note({ kind: "dropped", at_ms: 0, to_ms: 10 });
  const dropped = sealOf(unsent, { ask: answering(sha("other")) });
  await dropped.begin();
  assert.deepEqual([dropped.agrees, dropped.why], [false, "unsent"]);
});

test("where both hashes cannot be compared, the reason is said and nothing claimed", async () => {
  const why = async (check, more) => {
    const seal = sealOf(check, more);
    await seal.begin();
    assert.equal(seal.agrees, null);
    return [seal.state, seal.why];
  };
  const ok = (audio) => ({ ask: async () => ({ status: 200, content: { state: "finished", audio } }) });
  const status = (status) => ({ ask: async () => ({ status, content: null }) });
  assert.deepEqual(await why(recorded(), status(404)), ["done", "noRecord"]);
  assert.deepEqual(await why(recorded(), status(403)), ["done", "noKey"]);
  assert.deepEqual(await why(recorded(), status(0)), ["done", "unreachable"]);
  assert.deepEqual(await why(recorded(), { keeps_records: false, ask: () => assert.fail("asked in vain") }), ["done", "noRecord"]);
  assert.deepEqual(await why(recorded(), ok({ sha256: null, parts: [{ start_ms: 0, end_ms: 9, sha256: "x" }] })), ["done", "parts"]);
  assert.deepEqual(await why(recorded({ lost: true }), ok({ sha256: sha(SAMPLES), parts: [] })), ["done", "trimmed"]);
  const restarted = recorded();
  restarted.found.restarted({ at_ms: 100, missing_ms: 0 });
  restarted.found.take({ type: "ready", session_id: "s-10", model: MODEL });
  assert.deepEqual(restarted.found.kept.sessions, [{ session_id: "s-9", from_ms: 0 }, { session_id: "s-10", from_ms: 100 }]);
  assert.deepEqual(await why(restarted, { ask: () => assert.fail("asked in vain") }), ["done", "restarted"]);
  const failed = recorded();
  failed.found.done = null;
  assert.deepEqual(await why(failed, { ask: () => assert.fail("asked in vain") }), ["done", "unfinished"]);
  assert.deepEqual(await why(recorded(), { hashes: async () => Promise.reject(new Error("gone")) }), ["failed", "unread"]);
});

test("the last word of a session may still be on its way: it is asked again", async () => {
  let times = 0;
  const ask = async () => ({ status: 200, content: { state: times++ ? "finished" : "running", audio: { sha256: times > 1 ? sha(SAMPLES) : sha("half") } } });
  const seal = sealOf(recorded(), { ask });
  await seal.begin();
  assert.deepEqual([times, seal.agrees], [2, true]);
});

// --- windows ----------------------------------------------------------------------------------------------

test("windows come out of their columns as they went in, and those for which there is no room are counted", () => {
  const segments = new Segments(1000);
  const said = Array.from({ length: 1200 }, (_, index) => ({
    index,
    channel: index % 2,
    start_ms: index * 500,
    end_ms: index * 500 + 4000,
    verdict: ["bonafide", "spoof", "uncertain", "no_speech"][index % 4],
    score: index % 4 === 3 ? null : (index % 97) / 97,
    llr: index % 4 === 3 ? null : Math.sin(index) * 5,
    speech_ms: index,
    ...(index % 3 ? { latency_ms: index % 50, behind_ms: index % 70 } : {}),
    ...(index % 5 ? { quality: { level_dbfs: -20.25, clipping: 0.001, bandwidth_hz: index % 7 ? 8000 : null } } : {}),
  }));
  for (const segment of said) segments.add({ type: "segment", seq: 1, ...segment });
  assert.deepEqual([...segments], said.slice(0, 1000));
  assert.equal(segments.left_out, 200);
});

test("interim windows are not kept; alerts and warnings are, word for word", () => {
  const kept = new Kept();
  kept.take({ type: "segment", interim: true, ...ANSWER.segments[0] });
  kept.take({ type: "alert", seq: 4, at_ms: 3000, rule: "spoof_onset", channel: 0, score: 0.9, cleared: false });
  kept.take({ type: "warning", seq: 5, code: "clipping", message: "Clipped." });
  assert.equal(kept.segments.length, 0);
  assert.deepEqual(kept.alerts, [{ at_ms: 3000, rule: "spoof_onset", channel: 0, score: 0.9, cleared: false }]);
  assert.deepEqual(kept.warnings, [{ code: "clipping", message: "Clipped." }]);
});

// --- exports ----------------------------------------------------------------------------------------------

test("JSON: nothing of the answer is lost on the way there and back", async () => {
  const first = evidence(await checked());
  const read = JSON.parse(jsonOf(first));
  assert.deepEqual(read, JSON.parse(JSON.stringify(first)), "written by hand or by JSON.stringify, it says the same");
  assert.equal(read.format, "voxproof.check/1");
  assert.deepEqual(read.segments, ANSWER.segments);
  const { verdict, channels, ranges, warnings, model, audio, server, operating_point } = read;
  assert.deepEqual([verdict.verdict, verdict.score, verdict.llr, verdict.final], ["spoof", 0.714178, 0.9158, true]);
  assert.deepEqual([channels, ranges, warnings], [ANSWER.channels, ANSWER.spoof_ranges, ANSWER.warnings]);
  assert.equal(model.sha256, MODEL.sha256);
  assert.deepEqual([audio.sha256, audio.server.sha256, audio.server.same], [sha("file"), sha("file"), true]);
  assert.deepEqual([operating_point.name, operating_point.bonafide_score, operating_point.rates.miss], ["balanced", 0.3, 0.06]);
  assert.ok(Math.abs(operating_point.spoof_llr - Math.log(0.7 / 0.3)) < 1e-6);
  assert.deepEqual([server.address, server.request_id], ["https://voice.example/app/", ANSWER.request_id]);
  assert.ok(!jsonOf(first).includes("secret") && !jsonOf(first).includes("abc#"), "no secret of the page's address");
  // A check made anew of what was read gives the same evidence again.
  const again = { ...ANSWER, ...read.verdict, channels, spoof_ranges: ranges, warnings, model: MODEL, segments: read.segments, sha256: audio.server.sha256, request_id: server.request_id };
  assert.deepEqual(JSON.parse(jsonOf(evidence(await checked(again)))), read);
});

test("JSON of a check that goes on, or failed, says so", () => {
  const check = recorded();
  Object.assign(check, { phase: "listening" });
  check.found.done = null;
  const seal = sealOf(check);
  const running = evidence({ check, seal });
  assert.deepEqual([running.check.state, running.verdict.final, running.verdict.verdict, running.audio.sha256, running.times.ended_utc], ["running", false, null, null, null]);
  Object.assign(check, { phase: "failed", trouble: { key: "lost" } });
  const failed = evidence({ check, seal });
  assert.deepEqual([failed.check.state, failed.check.trouble.key, failed.verdict.in_words[0]], ["failed", "lost", en.trouble.lost.title]);
});

test("CSV: RFC 4180, a row a window, units in its head, no formula from a name", async () => {
  const name = '=cmd|" /C calc"!A0,\n.wav';
  const text = csvOf(evidence(await checked(ANSWER, name)));
  assert.equal(text[0], "\ufeff");
  const [head, ...rows] = parsed(text.slice(1));
  assert.equal(rows.length, 3);
  assert.ok(rows.every((row) => row.length === head.length));
  assert.equal(rows[0][0], `'${name}`);
  const named = (row) => Object.fromEntries(row.map((value, i) => [head[i], value]));
  assert.deepEqual({ ...named(rows[1]), name: "" }, {
    name: "", channel: "1", window: "2", start_ms: "0", end_ms: "1500", verdict: "uncertain", score_0_human_1_machine: "0.450166", llr_nat: "-0.2", speech_ms: "860",
    level_dbfs: "", clipped_share: "", bandwidth_hz: "", lag_ms: "",
  });
  assert.deepEqual([named(rows[0]).llr_nat, named(rows[2]).level_dbfs], ["", "-21.5"]);
  for (const formula of ["+1", "-1", "@x", "\t=1", " =1", "＝1"]) {
    const [, row] = parsed(csvOf(evidence(await checked(ANSWER, formula))).slice(1));
    assert.equal(row[0], `'${formula}`);
  }
});

/** A strict reader of RFC 4180. */
function parsed(text) {
  const rows = [];
  let row = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy;
  for (let found; (found = field.exec(text)); ) {
    row.push(found[1] === undefined ? found[2] : found[1].replaceAll('""', '"'));
    if (found[3] === "\r\n") rows.push(row.splice(0));
  }
  assert.equal(row.length, 0);
  assert.equal(rows.map((r) => r.length).reduce((a, b) => a + b, 0), [...text.matchAll(/(?:"(?:[^"]|"")*"|[^",\r\n]*)(?:,|\r\n)/g)].length);
  return rows;
}

test("the report says it all in both languages, everything escaped, with no script and nothing from elsewhere", async () => {
  const name = `<img src=x onerror=alert(1)>"'&.wav`;
  for (const words of [en, hi]) {
    const pictures = [{ url: "data:image/png;base64,AAAA", from_ms: 0, to_ms: 2087 }];
    const found = evidence(await checked(ANSWER, name), words);
    const text = reportOf(found, { words, pictures, audio_name: name });
    const ours = text.replaceAll("&lt;img src=x onerror=alert(1)&gt;", "");
    assert.ok(!/<script|<link|<iframe|\son\w+=|javascript:/i.test(ours));
    assert.ok(!text.includes("<img src=x") && text.includes("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;.wav"));
    assert.deepEqual([...ours.matchAll(/(?:src|href|url)\s*[=(]\s*"?([^"\s>)]+)/g)].map((m) => m[1]), ["data:image/png;base64,AAAA"]);
    assert.ok(text.startsWith(`<!doctype html>\n<html lang="${words.language}">`));
    for (const said of [words.name.spoof, found.audio.sha256, MODEL.sha256, "sha256sum", "0:00.625", "0:02.087", "−0.20", ...words.keep.limits.map((t) => t.slice(0, 20))]) {
      assert.ok(text.includes(said), `${words.language}: ${said}`);
    }
    assert.equal([...text.matchAll(/<tr>/g)].length, 1 + 1 + 1 + 3, "a head and a row for the stretch, a head and all windows");
    assert.ok(!/undefined|NaN|\[object/.test(text), text.match(/.{60}(undefined|NaN|\[object).{60}/s)?.[0]);
  }
});

test("a recording without a result has a report that says there is none", () => {
  const check = recorded();
  check.found.done = null;
  Object.assign(check, { phase: "failed", trouble: { key: "lost" } });
  const text = reportOf(evidence({ check, seal: sealOf(check) }), { words: en, pictures: [], audio_name: "x.wav" });
  assert.ok(text.includes(en.keep.paper.notFinal) && text.includes(en.trouble.lost.title));
  assert.ok(!/undefined|NaN|\[object/.test(text));
});

// --- names ------------------------------------------------------------------------------------------------

test("file names are safe everywhere and keep what can be kept", () => {
  const at = new Date(2026, 10, 21, 14, 5, 9);
  const end = "-2026-11-21-140509.json";
  assert.equal(fileName("call.wav", at, "json"), `voxproof-call${end}`);
  assert.equal(fileName("../../etc/passwd", at, "json"), `voxproof-etc-passwd${end}`);
  assert.equal(fileName("बातचीत 3.m4a", at, "json"), `voxproof-बातचीत-3${end}`);
  assert.equal(fileName("a\u202egpj.exe", at, "json"), `voxproof-a-gpj${end}`);
  assert.equal(fileName('<>:"/\\|?*\0', at, "json"), `voxproof${end}`);
  assert.equal(fileName("$(rm -rf ~) 'x'.wav", at, "json"), `voxproof-rm-rf-x${end}`);
  assert.ok(Buffer.byteLength(fileName("आ".repeat(500), at, "json")) < 255);
});

test("times keep their zone; an address loses what may be secret", () => {
  const at = new Date("2026-11-21T08:35:22.120Z");
  const local = localTime(at);
  assert.match(local, /^2026-11-2[012]T\d\d:\d\d:22\.120[+-]\d\d:\d\d$/);
  assert.equal(new Date(local).getTime(), at.getTime());
  assert.equal(plainAddress("https://a:b@x.example:8443/p/?token=1#k"), "https://x.example:8443/p/");
});

// --- snippets ---------------------------------------------------------------------------------------------

const examples = (name) => Object.fromEntries(["sh", "py", "mjs"].map((kind) => [kind, readFileSync(new URL(`../../templates/examples/${name}.${kind}`, import.meta.url), "utf8")]));
const CURL = "curl 'http://127.0.0.1:8000/v1/detect?profile=balanced' \\\n  -F file=@call.wav";
const PYTHON = 'import requests\n\nanswer = requests.post(\n    "http://127.0.0.1:8000/v1/detect?profile=balanced",\n    files={"file": open("call.wav", "rb")},\n)';
const EXAMPLES = { file: { sh: CURL, py: PYTHON, mjs: "" }, file_keyed: { sh: `${CURL} \\\n  -H "Authorization: Bearer $VOXPROOF_API_KEY"`, py: PYTHON, mjs: "" }, stream: examples("stream") };
EXAMPLES.file.mjs = EXAMPLES.file_keyed.mjs = 'const form = new FormData();\nform.append("file", await openAsBlob("call.wav"), "call.wav");\nfetch("http://127.0.0.1:8000/v1/detect?profile=balanced")';
const wanted = (more) => ({ kind: "file", name: "call.wav", profile: "strict", base: "https://voice.example/app/", keyed: false, rate: 48000, fits: true, ...more });

test("snippets are the documentation's own, with this check's address, file, format and operating point", () => {
  const file = snippetsOf(EXAMPLES, wanted({ keyed: true }));
  assert.match(file.sh, /^curl 'https:\/\/voice\.example\/app\/v1\/detect\?profile=strict' [^]*-F file=@call\.wav[^]*\$VOXPROOF_API_KEY/);
  const live = snippetsOf(EXAMPLES, wanted({ kind: "live", name: "voxproof-x.wav", rate: 16000 }));
  assert.match(live.py, /encoding=pcm_s16le&sample_rate=16000&profile=strict"/);
  assert.match(live.py, /open\("voxproof-x\.wav", "rb"\)\.read\(\)\[44:\]/);
  assert.match(live.py, /recording\[i:i \+ 640\] for i in range\(0, len\(recording\), 640\)/);
  assert.match(live.mjs, /wss:\/\/voice\.example\/app\/v1\/stream\?encoding=pcm_s16le&sample_rate=16000&profile=strict[^]*i \+= 640/);
  assert.match(live.mjs, /"https:\/\/voice\.example\/app\/v1\/tokens"/);
  assert.match(live.sh, /^curl .*profile=strict/);
  assert.match(snippetsOf(EXAMPLES, wanted({ kind: "live", name: "x.wav", fits: false })).sh, /^voxproof stream x\.wav \\\n  --url wss:\/\/voice\.example\/app\/v1\/stream \\\n  --profile strict/);
  for (const text of Object.values({ ...live, sh: "" })) assert.ok(!/127\.0\.0\.1|mulaw|ulaw|8000/.test(text), text);
});

test("a hostile file name stays a file name, in the shell, in Python and in JavaScript", () => {
  const name = `a'b"c\\d $(touch x) \`y\` é.wav`;
  const file = snippetsOf(EXAMPLES, wanted({ name }));
  const [argument] = execFileSync("bash", ["-c", `curl() { printf '%s\\0' "$@"; }\n${file.sh}`]).toString().split("\0").slice(-2);
  assert.equal(argument, `file=@"a'b\\"c\\\\d $(touch x) \`y\` é.wav"`);
  const inPython = execFileSync("python3", ["-c", `import ast,sys; print([n.value for n in ast.walk(ast.parse(sys.stdin.read())) if isinstance(n, ast.Constant) and str(n.value).endswith('.wav')][0])`], { input: file.py, encoding: "utf8" });
  assert.equal(inPython.trimEnd(), name);
  assert.ok(file.mjs.includes(JSON.stringify(name)));
});

test("an example that no longer says what is exchanged is noticed", () => {
  assert.throws(() => snippetsOf({ ...EXAMPLES, stream: { ...EXAMPLES.stream, py: "something else" } }, wanted({ kind: "live" })));
});
