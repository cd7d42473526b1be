// files/: what comes in by drop (gather.js), the WAV reader, an upload's troubles, and what a line of the list says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Check } from "../../static/js/check.js";
import { gather, looksLikeSound, walked } from "../../static/js/files/gather.js";
import { Pictures } from "../../static/js/files/picture.js";
import { rowOf, tally, whyWaiting } from "../../static/js/files/rows.js";
import { refusal, Upload } from "../../static/js/files/upload.js";
import { layoutOf, mono, readWav } from "../../static/js/files/wav.js";
import { Trouble, troubleOfAnswer } from "../../static/js/found/trouble.js";
import { findingsOfFile } from "../../static/js/found/verdict.js";
import { Visit } from "../../static/js/visit.js";
import { words } from "../../static/js/words/index.js";

const LIMITS = { max_upload_bytes: 1000, max_audio_seconds: 60 };

// --- what comes in ------------------------------------------------------------------------------------------

const named = (name) => new File(["x"], name);
const entry = (name, children) =>
  children
    ? { name, isDirectory: true, createReader: () => ({ parts: [children.slice(0, 2), children.slice(2), []], readEntries(give) { give(this.parts.shift() ?? []); } }) }
    : { name, isDirectory: false, file: (give) => give(named(name)) };

test("a dropped folder gives its sound files, in order, from below too, and counts the rest", async () => {
  const folder = entry("calls", [entry("b.wav"), entry("a.MP3"), entry("notes.txt"), entry(".hidden.wav"), entry("older", [entry("c.flac"), entry("d.jpg"), entry("e.ogg")])]);
  const out = await walked([{ entry: folder, file: null }, { entry: entry("odd.bin"), file: named("odd.bin") }]);
  assert.deepEqual(out.files.map(({ name }) => name), ["a.MP3", "b.wav", "c.flac", "e.ogg", "odd.bin"]);
  assert.deepEqual([out.left_out, out.cut], [3, false]);
});

test("of a huge folder only a part is looked at, and that is said", async () => {
  const out = await walked([{ entry: entry("all", Array.from({ length: 50 }, (_, i) => entry(`${i}.wav`))), file: null }], 10);
  assert.deepEqual([out.files.length, out.cut], [9, true]);
});

test("without folders the files themselves come, whatever they are called", async () => {
  const files = [named("a.wav"), named("b")];
  const transfer = { files, items: files.map((file) => ({ kind: "file", getAsFile: () => file })), types: ["Files"] };
  assert.deepEqual((await gather(transfer)).files, files);
  assert.equal(looksLikeSound({ name: "b", type: "audio/amr" }), true);
});

// --- WAV ----------------------------------------------------------------------------------------------------

function wav({ kind = 1, channels = 1, rate = 8000, bits = 16, samples, extra = 0, length }) {
  const step = bits / 8;
  const view = new DataView(new ArrayBuffer(44 + extra + samples.length * step));
  const text = (at, value) => [...value].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"), text(8, "WAVE"), text(12, "fmt ");
  view.setUint32(16, 16, true), view.setUint16(20, kind, true), view.setUint16(22, channels, true), view.setUint32(24, rate, true), view.setUint16(34, bits, true);
  let at = 36;
  if (extra) text(at, "LIST"), view.setUint32(at + 4, extra - 8, true), (at += extra);
  text(at, "data"), view.setUint32(at + 4, length ?? samples.length * step, true);
  const put = { 8: (p, v) => view.setUint8(p, v * 128 + 128), 16: (p, v) => view.setInt16(p, v * 32768, true), 24: (p, v) => (view.setUint16(p, (v * 8388608) & 0xffff, true), view.setInt8(p + 2, (v * 8388608) >> 16)), 32: (p, v) => (kind === 3 ? view.setFloat32(p, v, true) : view.setInt32(p, v * 2147483648, true)) };
  samples.forEach((value, i) => put[bits](at + 8 + i * step, value));
  return view.buffer;
}

test("WAV of every plain kind is read as its samples", async () => {
  const samples = [0, 0.5, -0.5, 0.25, -1, -0.25];
  for (const [kind, bits] of [[1, 8], [1, 16], [1, 24], [1, 32], [3, 32]]) {
    const read = await readWav(new Blob([wav({ kind, bits, samples, extra: 30 })]));
    assert.equal(read.rate, 8000);
    const out = [];
    for await (const piece of read.pieces) out.push(...piece);
    assert.deepEqual(out, samples, `${bits} bits, kind ${kind}`);
  }
});

test("two channels are drawn as their mean; a recorder that never wrote the length is read to the end", () => {
  const buffer = wav({ channels: 2, samples: [0.5, -0.5, 0.5, 0.25, 0, -0.5], length: 0 });
  const layout = layoutOf(buffer, buffer.byteLength);
  assert.deepEqual([...mono(buffer.slice(layout.from, layout.to), layout)], [0, 0.375, -0.25]);
});

test("what is no plain WAV is left to the browser", async () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(100), new TextEncoder().encode("RIFFxxxxWAVEfmt "), new Uint8Array(wav({ kind: 7, bits: 8, samples: [0] }))]) {
    assert.equal(await readWav(new Blob([bytes])), null);
  }
});

// --- uploads ------------------------------------------------------------------------------------------------

test("before sending: empty, too big, certainly no sound; the rest is for the server", () => {
  assert.equal(refusal({ size: 0 }, LIMITS).key, "empty");
  assert.equal(refusal({ size: 1001 }, LIMITS).key, "fileTooBig");
  for (const type of ["image/png", "text/plain", "application/pdf", "application/vnd.ms-excel"]) assert.equal(refusal({ size: 9, type }, LIMITS).key, "notAudio");
  for (const type of ["", "audio/amr", "video/mp4", "application/octet-stream", "application/ogg"]) assert.equal(refusal({ size: 9, type }, LIMITS), null);
});

test("what the server refuses: which make the line wait, and how long", () => {
  const of = (status, problem) => troubleOfAnswer(status, problem, LIMITS);
  assert.deepEqual([of(429, { code: "rate_limited", retry_after_ms: 700 }).key, of(429, { code: "rate_limited", retry_after_ms: 700 }).wait_ms], ["limited", 700]);
  assert.equal(of(429, { code: "quota_exceeded", retry_after_ms: 9 }).key, "quota");
  assert.equal(of(503, { code: "server_full", retry_after_ms: 9 }).key, "full");
  assert.equal(of(503, { code: "shutting_down", retry_after_ms: 9 }).key, "unready");
  assert.equal(of(401, { code: "unauthorized" }).key, "needsKey");
  assert.equal(of(502, null).key, "other");
});

class FakeXhr {
  upload = {};
  open() {}
  setRequestHeader() {}
  send() {}
  abort() {
    this.onabort();
  }
  getResponseHeader = () => this.retry_after ?? null;
}

const upload = (options = {}) => new Upload({ url: "/", limits: LIMITS, onProgress() {}, request: () => new FakeXhr(), ...options });

test("the line breaks in the middle: said as that; before anything was sent: the server does not answer", async () => {
  const middle = upload();
  const sent = middle.send(named("a.wav"));
  middle.xhr.upload.onprogress({ loaded: 5, total: 10, lengthComputable: true });
  middle.xhr.onerror();
  await assert.rejects(sent, { key: "cut", wait_ms: 0 });
  const start = upload();
  const asked = start.send(named("a.wav"));
  start.xhr.onerror();
  await assert.rejects(asked, { key: "unreachable" });
});

test("a dead line is noticed; a signal stops an upload; a proxy's Retry-After is heard", async () => {
  const dead = upload({ stalled_ms: 5 });
  await assert.rejects(dead.send(named("a.wav")), { key: "unreachable" });
  const stop = new AbortController();
  const stopped = upload({ signal: stop.signal }).send(named("a.wav"));
  stop.abort();
  await assert.rejects(stopped, { key: "aborted" });
  const busy = upload();
  const refused = busy.send(named("a.wav"));
  Object.assign(busy.xhr, { status: 503, responseText: "<html>", retry_after: "12" }).onload();
  await assert.rejects(refused, { key: "unready", wait_ms: 12_000 });
});

// --- lines of the list --------------------------------------------------------------------------------------

const check = (more) => Object.assign(new Check({ kind: "file", source: "a.wav · 1 KB", profile: "balanced", file: { name: "a.wav", size: 1024 } }), more);
const answer = { verdict: "spoof", score: 0.9, llr: 3, speech_ms: 4000, duration_ms: 5000, segments: [], warnings: [], spoof_ranges: [], channels: [{}] };

test("a line says how its check stands", () => {
  const row = (more) => rowOf(check(more), words);
  assert.deepEqual([row({ phase: "uploading", progress: 0.25 }).says, row({ phase: "uploading", progress: 0.25 }).progress], ["Sending, 25 %", 0.25]);
  assert.equal(row({ phase: "checking" }).progress, null);
  const done = row({ phase: "result", found: findingsOfFile(answer) });
  assert.deepEqual([done.tone, done.letter, done.says, done.retry, done.progress], ["spoof", "M", "Sounds machine-made", false, undefined]);
  assert.match(done.facts, /^\d\d:\d\d · 0:05 · 1 KB$/);
  const cut = row({ phase: "failed", trouble: new Trouble("cut", { wait_ms: 0 }) });
  assert.deepEqual([cut.letter, cut.says, cut.retry], ["!", words.trouble.cut.title, true]);
  assert.equal(row({ phase: "failed", trouble: new Trouble("notAudio") }).retry, false, "trying again would not help");
});

test("why a file waits: its turn, the server with a countdown, a key", () => {
  assert.equal(whyWaiting(check({ ahead: 0 }), words), words.wait.first);
  assert.equal(whyWaiting(check({ ahead: 3 }), words), "3 files are before it.");
  const full = check({ trouble: new Trouble("full"), wait_until: performance.now() + 4500 });
  assert.equal(whyWaiting(full, words), words.wait.full(5));
  const second = Object.assign(full, { ahead: 1, phase: "waiting" });
  assert.equal(whyWaiting(second, words), `One file is before it. ${words.wait.full(5)}`);
  assert.equal(rowOf(second, words).says, "One file is before it.", "in the list the first of the line says it for all");
  assert.equal(whyWaiting(check({ trouble: new Trouble("needsKey"), wait_until: Infinity }), words), words.wait.needsKey);
});

test("the tally counts files, not recordings", () => {
  const live = new Check({ kind: "live", source: "m", profile: "balanced" });
  const { all, done, waiting, failed } = tally([live, check({ phase: "result" }), check({ phase: "waiting" }), check({ phase: "failed", trouble: new Trouble("cut", { wait_ms: 0 }) })]);
  assert.deepEqual([all, done, waiting, failed.length], [3, 2, 1, 1]);
  const { tones } = tally([check({ phase: "result", found: findingsOfFile(answer) }), check({ phase: "failed", trouble: new Trouble("notAudio") })]);
  assert.equal(words.visit.sum(tones), "1 machine-made · 1 not checked");
});

// --- the picture of a sound ---------------------------------------------------------------------------------

test("a file whose length nobody can tell is asked for it once, and again only when the answer told it", async (t) => {
  let asked = 0;
  class Audio extends EventTarget {
    set src(_) {
      asked++;
      queueMicrotask(() => this.dispatchEvent(new Event("error")));
    }
    removeAttribute() {}
    load() {}
  }
  Object.assign(globalThis, { Audio });
  t.after(() => delete globalThis.Audio);
  const visit = new Visit({ nextFrame: (act) => void setImmediate(act) });
  new Pictures(visit);
  const check = new Check({ kind: "file", source: "x", profile: "balanced", file: new File(["no WAV"], "a.amr") });
  check.phase = "waiting";
  visit.add(check);
  await new Promise((go) => setTimeout(go, 60));
  assert.deepEqual([asked, check.picture], [1, ""]);
  const answer = { segments: [], warnings: [], channels: [], spoof_ranges: [], duration_ms: 10 * 3_600_000, speech_ms: 0, verdict: "no_speech", score: null };
  visit.changed(check, { phase: "result", found: findingsOfFile(answer) });
  await new Promise((go) => setTimeout(go, 60));
  assert.deepEqual([asked, check.picture], [1, "long"]);
});

test("a file's answer is kept once: its windows in columns, not in the result as well", () => {
  const segments = [{ index: 0, channel: 0, start_ms: 0, end_ms: 1000, verdict: "spoof", score: 0.9, llr: 2.2, speech_ms: 900 }];
  const found = findingsOfFile({ segments, warnings: [], channels: [], spoof_ranges: [], duration_ms: 1000, speech_ms: 900, verdict: "spoof", score: 0.9 });
  assert.deepEqual([...found.kept.segments], segments);
  assert.ok(!("segments" in found.done) && !("warnings" in found.done));
});
