// What stream.js promises: nothing is dropped in silence, a broken session is resumed where it was, and every end has a reason.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Stream } from "../../static/js/live/stream.js";
import { FakeClock, FakeSocket, ramp, record } from "./fakes.mjs";

const RATE = 8000;
let clock;

beforeEach(() => {
  clock = new FakeClock();
  FakeSocket.made = [];
});

function opened(options = {}) {
  const stream = new Stream({ url: "ws://x/v1/stream", rate: RATE, socket: (url) => new FakeSocket(url), clock, random: () => 0.5, ...options });
  const events = record(stream, "message", "connection", "held", "dropped", "overrun", "restarted", "end");
  stream.open();
  return { stream, events, socket: FakeSocket.made[0] };
}

const named = (events, name) => events.filter(([n]) => n === name).map(([, detail]) => detail);
const last = () => FakeSocket.made.at(-1);
const ack = (ms, seq) => ({ type: "ack", seq, received_ms: ms, processed_ms: ms, buffered_ms: 0, bytes: 0, frames: 0 });

test("start declares the context's own rate, and audio waits for ready", () => {
  const { stream, socket } = opened({ config: { profile: "strict" } });
  stream.push(ramp(0, 800));
  socket.accept();
  assert.deepEqual(socket.start, { type: "start", protocol: "voxproof.v1", audio: { encoding: "pcm_s16le", sample_rate: RATE, channels: 1 }, config: { profile: "strict" } });
  assert.equal(socket.audio.length, 0);
  socket.ready();
  assert.deepEqual(socket.audio, [...ramp(0, 800)]);
});

test("finish sends what is left, then stop, and done ends it well", () => {
  const { stream, socket, events } = opened();
  socket.ready();
  stream.push(ramp(0, 800));
  stream.finish();
  stream.push(ramp(800, 1600)); // after the end: not part of it
  assert.deepEqual(socket.texts.at(-1), { type: "stop" });
  assert.equal(socket.audio.length, 800);
  socket.say({ type: "done", seq: 9, duration_ms: 100 });
  assert.equal(named(events, "end")[0].reason, "done");
  assert.equal(socket.closed, 1000);
  assert.equal(clock.pending, 0, "no timer outlives the session");
});

test("a break is resumed with the largest seq, and audio goes on where the server asks", () => {
  const { stream, socket, events } = opened();
  socket.ready();
  stream.push(ramp(0, 8000));
  socket.say({ ...ack(500, 7) }).say({ type: "verdict", seq: 6 });
  socket.drop();
  stream.push(ramp(8000, 12000)); // still recording
  assert.equal(named(events, "connection").at(-1).state, "waiting");
  clock.pass(400);
  const second = last();
  assert.notEqual(second, socket);
  second.accept();
  assert.deepEqual(second.start.resume, { session_id: "s1", resume_token: "t1", last_seq: 7 });
  second.say({ type: "ready", seq: 1, session_id: "s1", resume_token: "t2", resume: { accepted: true, continue_from_ms: 750 } });
  assert.deepEqual(second.audio, [...ramp(6000, 12000)]);
  second.drop();
  clock.pass(400);
  last().accept();
  assert.equal(last().start.resume.last_seq, 7, "the resumed ready is number 1 again and must not turn the count back");
  assert.equal(last().start.resume.resume_token, "t2");
  assert.equal(named(events, "end").length, 0);
});

test("the sample to go on from is floor(ms * rate / 1000)", () => {
  const { stream, socket } = opened({ rate: 44100 });
  socket.ready();
  stream.push(ramp(0, 44100));
  socket.drop();
  clock.pass(400);
  last().ready({ resume: { accepted: true, continue_from_ms: 333 } });
  assert.equal(last().audio[0], ramp(14685, 14686)[0]);
});

test("audio the server has acknowledged is forgotten, what it has not is kept, even if it has its verdict", () => {
  const { stream, socket } = opened();
  socket.ready();
  for (let at = 0; at < 80000; at += 800) stream.push(ramp(at, at + 800));
  socket.say(ack(9000, 2));
  assert.equal(stream.backlog.start, 72000);
  socket.say({ type: "segment", seq: 3, index: 0, channel: 0, start_ms: 5000, end_ms: 9500 });
  assert.equal(stream.backlog.start, 72000, "the server that judged it may be killed before another one knows");
  socket.say(ack(9500, 4));
  assert.equal(stream.backlog.start, 76000);
});

test("what a killed server had said already is not heard twice from the one that goes on", () => {
  const { socket, events } = opened();
  socket.ready();
  const said = [
    { type: "segment", index: 0, channel: 0, start_ms: 0, end_ms: 1000 },
    { type: "verdict", channel: 0, as_of_ms: 1000 },
    { type: "alert", channel: 0, rule: "spoof_onset", at_ms: 1000, cleared: false },
    { type: "warning", code: "clipping", channel: 0, range_ms: [0, 1000] },
  ];
  said.forEach((message, at) => socket.say({ ...message, seq: at + 2 }));
  socket.drop();
  clock.pass(400);
  last().ready({ resume: { accepted: true, continue_from_ms: 0 } });
  assert.equal(last().start.resume.last_seq, 5);
  said.forEach((message, at) => last().say({ ...message, seq: at + 6 }));
  last().say({ type: "segment", seq: 10, index: 1, channel: 0, start_ms: 0, end_ms: 1500 });
  assert.deepEqual(named(events, "message").map((m) => m.seq), [1, 2, 3, 4, 5, 1, 10]);
});

test("an unknown session is begun anew from what was not scored, on the same time axis", () => {
  const { stream, socket, events } = opened();
  socket.ready();
  for (let at = 0; at < 40000; at += 800) stream.push(ramp(at, at + 800));
  socket.say(ack(3000, 4));
  socket.drop();
  clock.pass(400);
  last().accept().say({ type: "error", seq: 0, code: "unknown_session", fatal: true }).drop(4404);
  assert.deepEqual(named(events, "restarted"), [{ at_ms: 3000, missing_ms: 0 }]);
  const third = last();
  third.ready({ session_id: "s2" });
  assert.equal(third.start.resume, undefined);
  assert.deepEqual(third.audio, [...ramp(24000, 40000)]);
  third.say({ type: "segment", seq: 2, index: 0, channel: 0, start_ms: 0, end_ms: 1000, verdict: "spoof", score: 0.9 });
  const segment = named(events, "message").at(-1);
  assert.deepEqual([segment.start_ms, segment.end_ms], [3000, 4000]);
  third.say({ type: "done", seq: 3, duration_ms: 2000, spoof_ranges: [{ channel: 0, start_ms: 500, end_ms: 900, score: 0.9 }] });
  const done = named(events, "message").at(-1);
  assert.equal(done.from_ms, 3000);
  assert.equal(done.spoof_ranges[0].start_ms, 3500);
});

test("a result the server forgot is said to be lost, not taken from silence", () => {
  const { stream, socket, events } = opened();
  socket.ready();
  stream.push(ramp(0, 8000));
  stream.finish();
  socket.say(ack(1000, 2)).drop(1012);
  clock.pass(400);
  last().accept().say({ type: "error", code: "unknown_session", fatal: true }).drop(4404);
  assert.deepEqual(named(events, "end"), [{ reason: "lost", code: "result_lost" }]);
});

test("a full server before the first ready is a refusal with its own waiting time", () => {
  const { socket, events } = opened();
  socket.accept().say({ type: "error", code: "server_full", message: "full", fatal: true, retry_after_ms: 5000 }).drop(4503);
  const [end] = named(events, "end");
  assert.equal(end.reason, "refused");
  assert.equal(end.retry_after_ms, 5000);
});

test("a full server while resuming is waited for as long as it asks", () => {
  const { socket, events } = opened();
  socket.ready();
  socket.drop();
  clock.pass(400);
  last().accept().say({ type: "error", code: "server_full", fatal: true, retry_after_ms: 5000 }).drop(4503);
  assert.equal(named(events, "connection").at(-1).retry_in_ms, 5000);
  assert.equal(FakeSocket.made.length, 2);
  clock.pass(4999);
  assert.equal(FakeSocket.made.length, 2);
  clock.pass(1);
  assert.equal(FakeSocket.made.length, 3);
});

test("a server that was never there is unreachable at once; one that is gone for two minutes is lost", () => {
  const first = opened();
  first.socket.drop();
  assert.equal(named(first.events, "end")[0].reason, "unreachable");
  const { socket, events } = opened();
  FakeSocket.made[1].ready();
  void socket;
  FakeSocket.made[1].drop();
  for (let i = 0; i < 60 && !named(events, "end").length; i++) {
    clock.pass(5000);
    if (last().closed === null) last().drop();
  }
  assert.equal(named(events, "end")[0].reason, "lost");
  assert.ok(clock.time >= 120_000 && clock.time < 150_000, String(clock.time));
});

test("a mistake of ours is not tried again", () => {
  const { socket, events } = opened();
  socket.accept().say({ type: "error", code: "bad_config", message: "config.profile: no.", fatal: true }).drop(4400);
  assert.deepEqual(named(events, "end")[0].reason, "failed");
  assert.equal(FakeSocket.made.length, 1);
});

test("a slow connection holds audio back, says so, and loses nothing", () => {
  const { stream, socket, events } = opened();
  socket.ready();
  socket.bufferedAmount = 2 * RATE * 3;
  stream.push(ramp(0, 8000));
  assert.equal(socket.audio.length, 0);
  assert.deepEqual(named(events, "held").at(-1), { held: true, by: "line", behind_ms: 1000 });
  socket.bufferedAmount = 0;
  clock.pass(100);
  assert.deepEqual(socket.audio, [...ramp(0, 8000)]);
  assert.deepEqual(named(events, "held").at(-1), { held: false, by: "", behind_ms: 0 });
});

test("a connection that stays too slow ends the recording in words, and what is kept is still sent", () => {
  const { stream, socket, events } = opened();
  socket.ready();
  socket.bufferedAmount = 2 * RATE * 3;
  for (let at = 0; at < RATE * 70; at += 8000) stream.push(ramp(at, at + 8000));
  assert.equal(named(events, "overrun").length, 1);
  socket.bufferedAmount = 0;
  clock.pass(200);
  assert.equal(socket.audio.length, RATE * 60);
  assert.deepEqual(socket.texts.at(-1), { type: "stop" });
  assert.equal(named(events, "dropped").length, 0);
});

test("audio that fell out of the backlog during a long break is told, once, and its time is kept with silence", () => {
  const { stream, socket, events } = opened();
  socket.ready();
  stream.push(ramp(0, 8000));
  socket.drop();
  for (let at = 8000; at < RATE * 66; at += 8000) stream.push(ramp(at, at + 8000));
  clock.pass(400);
  last().ready({ resume: { accepted: true, continue_from_ms: 1000 } });
  assert.deepEqual(named(events, "dropped"), [{ from_ms: 1000, to_ms: 6000 }]);
  const audio = last().audio;
  assert.equal(audio.length, RATE * 65);
  assert.ok(audio.slice(0, RATE * 5).every((s) => s === 0));
  assert.equal(audio[RATE * 5], ramp(RATE * 6, RATE * 6 + 1)[0]);
});

test("a connection that is dead but not closed is noticed", () => {
  const { stream, socket, events } = opened();
  socket.ready();
  for (let i = 0; i < 20; i++) {
    stream.push(ramp(0, 8000));
    clock.pass(1000);
  }
  assert.ok(socket.closed !== null);
  assert.ok(named(events, "connection").some((c) => c.state === "waiting"));
});

test("a silent microphone thread does not let the session idle out", () => {
  const { socket } = opened();
  socket.ready();
  clock.pass(25_000);
  assert.ok(socket.texts.filter((m) => m.type === "keepalive").length >= 2);
  assert.equal(socket.closed, null);
});

test("no frame is larger than the server allows, and late audio goes out in pieces", () => {
  const { stream, socket } = opened();
  stream.push(ramp(0, 80000));
  socket.ready({ limits: { max_frame_bytes: 2048, max_buffer_seconds: 1000 } });
  const sizes = socket.sent.filter((d) => d instanceof Int16Array).map((d) => d.byteLength);
  assert.ok(Math.max(...sizes) <= 2048);
  assert.deepEqual(socket.audio, [...ramp(0, 80000)]);
});

test("garbage from a stranger's server is not an accident", () => {
  const { socket, events } = opened();
  socket.ready();
  socket.onmessage({ data: "<html>" });
  socket.onmessage({ data: "null" });
  socket.onmessage({ data: new ArrayBuffer(4) });
  assert.equal(named(events, "end").length, 0);
});

test("abort closes on purpose and says nothing more", () => {
  const { stream, socket, events } = opened();
  socket.ready();
  stream.abort();
  stream.push(ramp(0, 8));
  assert.equal(socket.closed, 1000);
  assert.deepEqual(named(events, "end"), [{ reason: "aborted" }]);
  assert.equal(clock.pending, 0);
});

test("while nothing is heard the session is kept alive, and whoever keeps time does what is due", () => {
  const stuck = { time: 0, now: () => stuck.time, setTimeout: () => Symbol("never"), clearTimeout() {} }; // a hidden page's timers
  const stream = new Stream({ url: "ws://x", rate: RATE, socket: (url) => new FakeSocket(url), clock: stuck, random: () => 0.5 });
  stream.open();
  const [socket] = FakeSocket.made;
  socket.ready();
  stream.push(ramp(0, 8000));
  socket.say(ack(1000, 2));
  for (; stuck.time < 300_000; stuck.time += 100) stream.beat();
  const kept = socket.texts.filter((message) => message.type === "keepalive").length;
  assert.ok(kept >= 24 && kept <= 30, String(kept));
  assert.equal(socket.closed, null, "half a second unacknowledged is no dead connection, however long nothing is said");
  socket.drop();
  for (let i = 0; i < 5; i++, stuck.time += 100) stream.beat();
  assert.equal(FakeSocket.made.length, 2, "it is dialled again without a timer");
});

test("after a long pause a connection that answers late is not taken for a dead one", () => {
  const { stream, socket } = opened();
  socket.ready();
  stream.push(ramp(0, 8000));
  socket.say(ack(1000, 2));
  clock.pass(600_000);
  for (let at = 8000; at < 40_000; at += 800) {
    stream.push(ramp(at, at + 800));
    clock.pass(100);
  }
  assert.equal(socket.closed, null);
});

test("what the server has unjudged is bounded by what it says it takes; the rest waits here and goes as verdicts come", () => {
  const { stream, socket, events } = opened();
  socket.ready({ limits: { max_frame_bytes: 1 << 20, max_buffer_seconds: 10 } });
  for (let at = 0; at < RATE * 20; at += 800) stream.push(ramp(at, at + 800));
  assert.ok(socket.audio.length >= RATE * 8 && socket.audio.length <= RATE * 8.5, String(socket.audio.length / RATE));
  assert.equal(named(events, "held").at(-1).by, "server");
  socket.say({ type: "segment", seq: 3, index: 0, channel: 0, start_ms: 4000, end_ms: 8000 });
  assert.ok(socket.audio.length > RATE * 15);
  socket.say(ack(16_000, 4));
  assert.equal(socket.audio.length, RATE * 20);
  assert.equal(named(events, "held").at(-1).held, false);
  assert.deepEqual(socket.audio, [...ramp(0, RATE * 20)]);
});

test("another operating point is told at once, or when the connection is back; a new session starts with it", () => {
  const { stream, socket } = opened({ config: { profile: "balanced", detail: "full" } });
  socket.ready();
  stream.update({ profile: "strict" });
  assert.deepEqual(socket.texts.at(-1), { type: "update", config: { profile: "strict", detail: "full" } });
  socket.drop();
  stream.update({ profile: "fast" });
  clock.pass(400);
  const second = last().ready({ resume: { accepted: true, continue_from_ms: 0 } });
  assert.deepEqual(second.texts.at(-1), { type: "update", config: { profile: "fast", detail: "full" } });
  second.drop(4404);
  const third = last().ready({ session_id: "s2" });
  assert.equal(third.start.config.profile, "fast");
  assert.equal(third.texts.length, 1);
});

test("another operating point that got lost with the line is told again, once", () => {
  const { stream, socket } = opened({ config: { profile: "balanced" } });
  socket.ready({ config: { profile: "balanced" } });
  stream.update({ profile: "strict" });
  socket.drop(); // before the server read it
  clock.pass(400);
  const second = last().ready({ resume: { accepted: true, continue_from_ms: 0 }, config: { profile: "balanced" } });
  assert.deepEqual(second.texts.slice(1), [{ type: "update", config: { profile: "strict" } }]);
  second.drop();
  clock.pass(400);
  const third = last().ready({ resume: { accepted: true, continue_from_ms: 0 }, config: { profile: "strict" } });
  assert.equal(third.texts.length, 1, "it is known by now");
});
