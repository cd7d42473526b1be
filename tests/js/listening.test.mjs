// The parts of listening that need no browser: pause and what is odd (live.js, condition.js, ear.js), flow, recording, devices, screen, keyring.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Condition } from "../../static/js/live/condition.js";
import { microphonesOf } from "../../static/js/live/devices.js";
import { Ear } from "../../static/js/live/ear.js";
import { Flow } from "../../static/js/live/flow.js";
import { Live } from "../../static/js/live/live.js";
import { levels } from "../../static/js/live/pcm.js";
import { Recording, wavHead } from "../../static/js/live/recording.js";
import { screenSound, troubleOfScreen } from "../../static/js/live/screen.js";
import { Timers } from "../../static/js/live/timers.js";
import { FakeClock, ramp, record } from "./fakes.mjs";

class FakeStream extends EventTarget {
  calls = [];
  backlog = { end: 0 };
  rate = 1000;
  open = () => this.calls.push("open");
  finish = () => this.calls.push("finish");
  abort = () => this.calls.push("abort");
  beat = () => this.calls.push("beat");
  update = (config) => this.calls.push(config);
  push(samples) {
    this.backlog.end += samples.length;
  }
  tell = (name, detail) => this.dispatchEvent(new CustomEvent(name, { detail }));
}

async function listening(wanted = { source: "microphone", device: "" }) {
  const stream = new FakeStream();
  const clock = new FakeClock();
  const calls = [];
  let listener;
  const input = { rate: 1000, label: "fake", altered: [], hold: async () => calls.push("hold"), go: () => calls.push("go"), close: async () => calls.push("close") };
  const open = async (given) => {
    listener = given;
    return input;
  };
  const live = new Live({ url: "ws://x", wanted, open, makeStream: () => stream, now: clock.now });
  const ends = record(live, "end");
  await live.start();
  stream.tell("connection", { state: "open" });
  return { live, stream, clock, calls, ends, get listener() { return listener; } };
}

const sound = (seconds, level = 0.1) => Float32Array.from({ length: seconds * 1000 }, (_, i) => (i % 2 ? level : -level));

test("a pause: nothing is heard, the axis stands still, the session is kept, and what was is noted with its length", async () => {
  const at = await listening();
  at.listener.onBatch(sound(3));
  await at.live.pause();
  assert.deepEqual([at.live.phase, at.calls], ["paused", ["hold"]]);
  assert.equal(at.live.captured_ms, 3000);
  assert.deepEqual(at.live.found.marks, [{ kind: "paused", at_ms: 3000 }]);
  at.listener.onBeat();
  assert.equal(at.stream.calls.at(-1), "beat", "the audio thread keeps time while nothing is moved");
  at.clock.pass(65_000);
  at.live.resume();
  assert.deepEqual([at.live.phase, at.calls.at(-1)], ["listening", "go"]);
  assert.equal(at.live.found.notices[0].lasted_ms, 65_000);
  at.listener.onBatch(sound(1));
  assert.equal(at.live.captured_ms, 4000);
  await at.live.pause();
  at.clock.pass(5000);
  await at.live.stop();
  assert.deepEqual(at.calls.slice(-2), ["hold", "close"]);
  assert.equal(at.stream.calls.at(-1), "finish", "a paused recording can be ended");
  assert.equal(at.live.found.notices[0].lasted_ms, 5000);
});

test("a pause asked for twice is one, and one that is overtaken by the end is none", async () => {
  const at = await listening();
  const [first, second] = [at.live.pause(), at.live.pause()];
  await at.live.stop();
  await Promise.all([first, second]);
  assert.equal(at.live.phase, "finishing");
  assert.deepEqual(at.live.found.marks, []);
  at.live.resume();
  assert.equal(at.live.phase, "finishing");
});

test("nothing but silence is said after five seconds, and a sound ends it; a silent tab has its own words", async () => {
  const at = await listening();
  at.stream.tell("message", { type: "segment", index: 0, channel: 0, start_ms: 0, end_ms: 9000, verdict: "no_speech", score: null });
  at.listener.onBatch(sound(4.9, 0));
  assert.equal(at.live.status, null);
  at.listener.onBatch(sound(0.1, 0.0002));
  assert.equal(at.live.status.kind, "silent");
  at.listener.onBatch(sound(0.1, 0.01));
  assert.equal(at.live.status, null);
  const tab = await listening({ source: "tab", device: "" });
  tab.listener.onBatch(sound(5, 0));
  assert.equal(tab.live.status.kind, "silentTab");
  await tab.live.pause();
  assert.equal(tab.live.status, null, "while paused it is no news");
});

test("clipping is said while it lasts and a little longer; single peaks are no clipping", () => {
  const ear = new Ear();
  const loud = sound(0.1, 1);
  ear.hear(levels(Float32Array.from(sound(1, 0.5), (v, i) => (i === 500 ? 1 : v))), 1000);
  assert.ok(!ear.clipped);
  for (let i = 0; i < 3; i++) ear.hear(levels(loud), 100);
  assert.ok(ear.clipped);
  for (let i = 0; i < 20; i++) ear.hear(levels(sound(0.1)), 100);
  assert.ok(ear.clipped, "words that blink are not read");
  for (let i = 0; i < 80; i++) ear.hear(levels(sound(0.1)), 100);
  assert.ok(!ear.clipped);
});

test("muted and suspended are said, and noted where sound was lost", async () => {
  const at = await listening();
  at.listener.onMuted(true);
  assert.equal(at.live.status.kind, "muted");
  at.listener.onSuspended(true);
  assert.equal(at.live.status.kind, "suspended");
  at.listener.onSuspended(false);
  assert.equal(at.live.status.kind, "muted");
  at.listener.onMuted(false);
  assert.equal(at.live.status, null);
  assert.equal(at.live.found.notices[0].code, "suspended");
  const tab = await listening({ source: "tab", device: "" });
  tab.listener.onMuted(true);
  assert.equal(tab.live.status, null, "a tab that plays nothing is muted to some browsers");
});

test("the end of a shared tab is not an unplugged microphone", async () => {
  const at = await listening({ source: "tab", device: "" });
  at.listener.onGone();
  at.listener.onGone();
  await new Promise(setImmediate);
  at.stream.tell("end", { reason: "done" });
  assert.deepEqual(at.ends.map(([, { trouble }]) => trouble.key), ["shareEnded"]);
});

test("a server that judges late is said to, with hysteresis, and so is one whose buffer is full", async () => {
  const at = await listening();
  const ack = (lag_ms) => {
    at.stream.tell("message", { type: "ack", received_ms: 1000, processed_ms: 500, lag_ms });
    at.listener.onBatch(sound(0.1));
  };
  ack(1999);
  assert.equal(at.live.status, null);
  ack(2500);
  assert.deepEqual([at.live.status.kind, at.live.status.behind_ms], ["behind", 2500]);
  ack(1500);
  assert.equal(at.live.status.kind, "behind");
  ack(500);
  assert.equal(at.live.status, null);
  at.stream.tell("held", { held: true, by: "line", behind_ms: 3000 });
  assert.equal(at.live.status.kind, "held");
  at.stream.tell("held", { held: true, by: "server", behind_ms: 3000 });
  assert.equal(at.live.status, null, "the server is late, not the line");
  at.listener.onBatch(sound(2.2));
  assert.deepEqual([at.live.status.kind, at.live.status.behind_ms], ["behind", 2500]);
  at.stream.tell("message", { type: "segment", index: 0, channel: 0, start_ms: 0, end_ms: 2500, verdict: "bonafide", score: 0.1 });
  at.listener.onBatch(sound(0.1));
  assert.equal(at.live.status, null);
});

test("of several odd things the one to act on is said", () => {
  let now = 5;
  const condition = new Condition(() => now);
  condition.set("clipped");
  condition.set("behind", { behind_ms: 1 });
  condition.set("silent");
  condition.link("waiting", { retry_in_ms: 300 });
  assert.deepEqual(condition.said, { kind: "waiting", at: 5, retry_in_ms: 300 });
  condition.link("back");
  assert.equal(condition.said.kind, "back");
  now += 4001;
  assert.equal(condition.said.kind, "silent", "old news");
  condition.set("silent", false);
  condition.set("behind", false);
  assert.equal(condition.said.kind, "clipped");
  condition.set("clipped", false);
  assert.equal(condition.said, null);
});

test("audio waits when the socket is full, or when the server has as much unjudged as it takes", () => {
  const flow = new Flow();
  flow.greet(10);
  assert.ok(flow.free(0, 7900));
  assert.ok(!flow.free(0, 8100) && flow.held === "server");
  assert.ok(!flow.free(0, 4100), "until half of it is judged");
  assert.ok(flow.free(0, 3900));
  assert.ok(!flow.free(2100, 0) && flow.held === "line");
  assert.ok(!flow.free(600, 0));
  assert.ok(flow.free(400, 0));
  flow.greet(0.5);
  assert.ok(flow.free(0, 3900), "the first verdicts need some seconds");
});

test("what is overdue is done by whoever keeps time", () => {
  const clock = { time: 0, now: () => clock.time, setTimeout: () => Symbol("id"), clearTimeout() {} }; // timers that never come
  const timers = new Timers(clock);
  const done = [];
  timers.after("a", 100, () => done.push("a"));
  timers.after("b", 200, () => done.push("b"));
  timers.after("again", 100, () => timers.after("again", 100, () => done.push("again")));
  clock.time = 150;
  timers.catchUp();
  timers.catchUp();
  assert.deepEqual(done, ["a"]);
  clock.time = 250;
  timers.catchUp();
  assert.deepEqual(done, ["a", "b", "again"]);
});

test("a recording is a WAV of what was sent; when it is full the oldest goes, and it says how much", async () => {
  const recording = new Recording(8000, { most_bytes: 3000, piece_bytes: 1000 });
  for (let at = 0; at < 10_000; at += 170) recording.push(ramp(at, Math.min(10_000, at + 170)));
  assert.equal(recording.samples, 10_000);
  const kept = recording.samples - recording.lost;
  assert.ok(kept * 2 <= 3000 + 1000 + 340 && kept * 2 >= 2000, String(kept));
  assert.equal(recording.from_ms, (recording.lost * 1000) / 8000);
  const wav = recording.wav();
  assert.equal(wav.type, "audio/wav");
  const bytes = await wav.arrayBuffer();
  const head = new DataView(bytes);
  const text = (at, n) => String.fromCharCode(...new Uint8Array(bytes, at, n));
  assert.deepEqual([text(0, 4), text(8, 8), text(36, 4)], ["RIFF", "WAVEfmt ", "data"]);
  const number = { riff: head.getUint32(4, true), format: head.getUint16(20, true), channels: head.getUint16(22, true), rate: head.getUint32(24, true), second: head.getUint32(28, true), frame: head.getUint16(32, true), bits: head.getUint16(34, true), data: head.getUint32(40, true) };
  assert.deepEqual(number, { riff: bytes.byteLength - 8, format: 1, channels: 1, rate: 8000, second: 16_000, frame: 2, bits: 16, data: kept * 2 });
  assert.deepEqual([...new Int16Array(bytes.slice(44))], [...ramp(recording.lost, recording.samples)]);
});

test("a WAV head never says more than it can", () => {
  const head = new DataView(wavHead(48_000, 2 ** 33));
  assert.deepEqual([head.getUint32(4, true), head.getUint32(40, true)], [2 ** 32 - 1, 2 ** 32 - 1]);
  assert.ok(new Recording(48_000, { most_bytes: 2 ** 40 }).most_bytes < 2 ** 32);
});

test("microphones: those with a name, each once; none before they are told", () => {
  const device = (deviceId, label, kind = "audioinput") => ({ kind, deviceId, label });
  assert.deepEqual(microphonesOf([device("", "")]), { devices: [], named: false });
  const all = [device("default", "Default - A"), device("communications", "Communications - A"), device("1", "A"), device("2", "B"), device("3", "C", "audiooutput")];
  assert.deepEqual(microphonesOf(all), { devices: [{ id: "1", name: "A" }, { id: "2", name: "B" }], named: true });
});

test("what a browser can share is known beforehand, as far as it tells", () => {
  const chrome = { mediaDevices: { getDisplayMedia() {}, getSupportedConstraints: () => ({ suppressLocalAudioPlayback: true }) } };
  const firefox = { mediaDevices: { getDisplayMedia() {}, getSupportedConstraints: () => ({ echoCancellation: true }) } };
  assert.deepEqual([screenSound(chrome), screenSound(firefox), screenSound({ mediaDevices: {} }), screenSound({})], ["yes", "silent", "no", "no"]);
  const named = (name) => troubleOfScreen(Object.assign(new Error("x"), { name })).key;
  assert.deepEqual(["NotAllowedError", "NotReadableError", "NotSupportedError", "OddError"].map(named), ["notShared", "screenBusy", "noTabSound", "screen"]);
});
