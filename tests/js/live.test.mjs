// live.js over a fake microphone and a fake stream, upload.js over a fake request, and the worklet itself.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";
import { Live } from "../../static/js/live/live.js";
import { Trouble } from "../../static/js/found/trouble.js";
import { Upload } from "../../static/js/files/upload.js";
import { record } from "./fakes.mjs";

class FakeStream extends EventTarget {
  calls = [];
  backlog = { end: 0 };
  rate = 1000;
  open = () => this.calls.push("open");
  finish = () => this.calls.push("finish");
  abort = () => this.calls.push("abort");
  push(samples) {
    this.backlog.end += samples.length;
  }
  tell = (name, detail) => this.dispatchEvent(new CustomEvent(name, { detail }));
}

function listening({ open } = {}) {
  const parts = { stream: new FakeStream(), closed: 0, listener: null };
  const microphone = { rate: 1000, label: "fake", altered: [], close: async () => void parts.closed++ };
  const openFake = async (listener) => {
    parts.listener = listener;
    return microphone;
  };
  const live = new Live({ url: "ws://x", open: open ?? openFake, makeStream: () => parts.stream });
  return { live, ends: record(live, "end"), ...parts, parts };
}

test("permission, connection, sound, end: the phases in their order", async () => {
  const { live, ends, stream, parts } = listening();
  const phases = [];
  live.addEventListener("change", () => phases.at(-1) !== live.phase && phases.push(live.phase));
  await live.start();
  parts.listener.onBatch(new Float32Array(100));
  assert.equal(live.captured_ms, 100);
  stream.tell("connection", { state: "open" });
  await live.stop();
  assert.equal(parts.closed, 1, "the microphone is off before the result comes");
  assert.deepEqual(stream.calls, ["open", "finish"]);
  stream.tell("message", { type: "done", verdict: "no_speech", duration_ms: 100, speech_ms: 0, spoof_ranges: [], channels: [] });
  stream.tell("end", { reason: "done" });
  assert.deepEqual(phases, ["connecting", "listening", "finishing"]);
  assert.deepEqual(ends, [["end", { trouble: null }]]);
});

test("lag is what the page sees: sound taken in that is not judged yet", async () => {
  const { live, stream, parts } = listening();
  await live.start();
  parts.listener.onBatch(new Float32Array(1300));
  stream.tell("message", { type: "segment", index: 0, channel: 0, start_ms: 0, end_ms: 1000, verdict: "bonafide", score: 0.1, latency_ms: 9 });
  assert.equal(live.found.lag_ms, 300);
});

test("an unplugged microphone ends the recording, and the result still comes", async () => {
  const { ends, stream, live, parts } = listening();
  await live.start();
  stream.tell("connection", { state: "open" });
  parts.listener.onGone();
  await Promise.resolve();
  await Promise.resolve();
  assert.ok(stream.calls.includes("finish"));
  stream.tell("end", { reason: "done" });
  assert.equal(ends[0][1].trouble.key, "unplugged");
});

test("a refusal of the microphone is passed on as it is; what nobody foresaw keeps its message", async () => {
  const denied = listening({ open: async () => { throw new Trouble("denied", { wait_ms: 0 }); } });
  await denied.live.start();
  assert.equal(denied.ends[0][1].trouble.key, "denied");
  const odd = listening({ open: async () => { throw new TypeError("odd"); } });
  await odd.live.start();
  assert.match(odd.ends[0][1].trouble.fact, /odd/);
});

test("cancelled while the browser asks, the microphone is not left open", async () => {
  let grant;
  let closed = 0;
  const { live, ends } = listening({ open: () => new Promise((resolve) => { grant = resolve; }) });
  const started = live.start();
  await live.stop();
  assert.deepEqual(ends, [["end", { trouble: null }]]);
  grant({ rate: 1000, label: "", altered: [], close: async () => void closed++ });
  await started;
  assert.equal(closed, 1);
  assert.equal(live.stream, null);
});

test("a lost connection shows as a status and goes when it is back", async () => {
  const { live, stream } = listening();
  await live.start();
  stream.tell("connection", { state: "open" });
  assert.equal(live.status, null);
  stream.tell("connection", { state: "waiting", retry_in_ms: 700 });
  assert.equal(live.status.kind, "waiting");
  stream.tell("connection", { state: "open" });
  assert.equal(live.status.kind, "back");
  stream.tell("restarted", { at_ms: 3000, missing_ms: 500 });
  assert.equal(live.found.notices[0].kind, "restarted");
  stream.tell("overrun", {});
  assert.equal(live.phase, "finishing");
});

class FakeXhr {
  upload = {};
  status = 0;
  responseText = "";
  open = (method, url) => (this.asked = `${method} ${url}`);
  setRequestHeader() {}
  send = (form) => (this.form = form);
  abort = () => this.onabort();
}

test("an upload tells its progress, and an answer that is no JSON is a trouble", async () => {
  const seen = [];
  const make = () => new Upload({ url: "/v1/detect", limits: { max_upload_bytes: 100, max_audio_seconds: 60 }, onProgress: (part) => seen.push(part), request: () => new FakeXhr() });
  const file = new File([new Uint8Array(10)], "a.wav");
  const good = make();
  const answer = good.send(file);
  assert.equal(good.xhr.asked, "POST /v1/detect");
  assert.equal(good.xhr.form.get("file").name, "a.wav");
  good.xhr.upload.onprogress({ lengthComputable: true, loaded: 5, total: 10 });
  good.xhr.upload.onload();
  Object.assign(good.xhr, { status: 200, responseText: '{"verdict":"spoof"}' }).onload();
  assert.deepEqual(await answer, { verdict: "spoof" });
  assert.deepEqual(seen, [0.5, 1]);

  const bad = make();
  const refused = bad.send(file);
  Object.assign(bad.xhr, { status: 502, responseText: "<html>Bad gateway" }).onload();
  await assert.rejects(refused, { key: "other" });
  const stopped = make();
  const cancelled = stopped.send(file);
  stopped.cancel();
  await assert.rejects(cancelled, { key: "aborted" });
  await assert.rejects(make().send(new File([new Uint8Array(101)], "b.wav")), { key: "fileTooBig" });
  await assert.rejects(make().send(new File([], "c.wav")), { key: "empty" });
});

test("the worklet moves every sample once, in whole batches, and the rest at the end", () => {
  const posted = [];
  let Mover;
  const port = { postMessage: (data) => posted.push(data) };
  vm.runInNewContext(readFileSync(new URL("../../static/js/live/worklet.js", import.meta.url), "utf8"), {
    AudioWorkletProcessor: class { port = port; },
    registerProcessor: (name, kind) => (Mover = kind),
    Float32Array,
  });
  const mover = new Mover({ processorOptions: { batch: 300 } });
  const quantum = (n) => Float32Array.from({ length: 128 }, (_, i) => n * 128 + i);
  for (let n = 0; n < 10; n++) assert.equal(mover.process([[quantum(n)]]), true);
  assert.deepEqual(posted.map((batch) => batch.length), [300, 300, 300, 300]);
  mover.process([[]]); // a source that gives nothing for a moment: time passes
  port.onmessage({ data: "end" });
  assert.equal(posted.at(-1), null);
  const all = posted.slice(0, -1).flatMap((batch) => [...batch]);
  assert.deepEqual(all, [...Array.from({ length: 1280 }, (_, i) => i), ...new Array(128).fill(0)]);
  assert.equal(mover.process([[quantum(0)]]), false);
  assert.equal(posted.at(-1), null);
});

test("what the stream takes no more is no part of the recording either", async () => {
  const { live, stream, parts } = listening();
  let heard = 0;
  live.addEventListener("heard", () => heard++);
  await live.start();
  parts.listener.onBatch(new Float32Array(100));
  stream.push = () => {}; // an overrun: it ends here
  parts.listener.onBatch(new Float32Array(100));
  assert.equal(heard, 1);
});
