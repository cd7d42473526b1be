// The wire cases that Python is tested with too (tests/wire): the page takes each message our server makes, without loss, and says what that server takes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Stream } from "../../static/js/live/stream.js";
import { troubleOfEnd } from "../../static/js/found/trouble.js";
import { Findings, findingsOfFile, headline } from "../../static/js/found/verdict.js";
import { panelOf, sentenceOf } from "../../static/js/view/panel.js";
import { words } from "../../static/js/words/index.js";
import { FakeClock, FakeSocket, ramp, record } from "./fakes.mjs";

const read = (name) => JSON.parse(readFileSync(new URL(`../wire/${name}.json`, import.meta.url), "utf-8"));
const server = read("server");
const said = Object.fromEntries(read("client").messages.map(({ name, message }) => [name, message]));
const of = (messages, type) => messages.filter((message) => message.type === type);
const state = (more) => ({ kind: "live", phase: "result", trouble: null, status: null, captured_ms: 0, progress: 0, source: "", wait_s: 0, ...more });

/** A stream on a socket that says the case's messages; what the page heard of it. */
function played({ messages, close_code }) {
  FakeSocket.made = [];
  const stream = new Stream({ url: "ws://x/v1/stream", rate: 16000, socket: (url) => new FakeSocket(url), clock: new FakeClock(), random: () => 0.5 });
  const events = record(stream, "message", "end");
  stream.open();
  const socket = FakeSocket.made[0].accept();
  stream.push(ramp(0, 1600));
  for (const message of messages) socket.say(message);
  if (socket.closed === null) socket.drop(close_code);
  const detail = (name) => events.filter(([n]) => n === name).map(([, content]) => content);
  return { heard: detail("message"), ends: detail("end"), stream, socket };
}

for (const one of server.sessions) {
  test(`session: ${one.name}`, () => {
    const { messages, end } = one;
    const { heard, ends } = played(one);
    assert.deepEqual(heard, messages, "every message is passed on, once, in order, as it came");
    assert.equal(ends.length, 1);
    assert.equal(ends[0].reason, end);

    const found = new Findings();
    for (const message of heard) found.take(message);
    const segments = of(messages, "segment").filter(({ interim }) => !interim);
    assert.equal(found.windows, segments.length);
    const channels = [...new Set(segments.map(({ channel }) => channel))];
    assert.equal(found.lanes.length, channels.length);
    for (const channel of channels) {
      const own = segments.filter((segment) => segment.channel === channel);
      const { cells } = found.lanes[channel];
      assert.deepEqual(cells.map(({ verdict, score }) => [verdict, score]), own.map(({ verdict, score }) => [verdict, score]), "each window is on the chart");
      for (let i = 1; i < cells.length; i++) assert.equal(cells[i].from_ms, cells[i - 1].to_ms, "no hole between windows");
      const last = of(messages, "verdict").filter((verdict) => verdict.channel === channel).at(-1);
      const { verdict, score, speech_ms, state: how } = found.standings.get(channel);
      assert.deepEqual([verdict, score, speech_ms, how], [last.verdict, last.score, last.speech_ms, last.state]);
    }
    if (segments.length) assert.equal(found.processed_ms, Math.max(...segments.map((segment) => segment.end_ms)));

    for (const warning of of(messages, "warning")) {
      const notice = found.notices.find(({ kind, code }) => kind === "warning" && code === warning.code);
      assert.equal(notice?.times, of(messages, "warning").filter(({ code }) => code === warning.code).length, warning.code);
    }
    for (const error of of(messages, "error").filter(({ fatal }) => !fatal)) {
      const notice = found.notices.find(({ kind, code }) => kind === "error" && code === error.code);
      assert.ok(notice && sentenceOf(notice, words), error.code);
    }
    const alerts = of(messages, "alert").map(({ at_ms, cleared }) => [cleared ? "cleared" : "alert", at_ms]);
    assert.deepEqual(found.notices.filter(({ kind }) => kind === "alert" || kind === "cleared").map(({ kind, at_ms }) => [kind, at_ms]).reverse(), alerts);
    const updated = of(messages, "updated").at(-1);
    if (updated) assert.deepEqual(found.config, updated.config);

    const done = of(messages, "done")[0];
    assert.deepEqual(found.done, done ?? null);
    const trouble = troubleOfEnd(ends[0]);
    if (done) {
      assert.equal(headline(found).tone, done.verdict);
      const panel = panelOf(state({ found }), words);
      assert.equal(panel.title, words.name[done.verdict]);
    } else {
      assert.ok(trouble, "an end without a result has a reason");
      assert.ok(words.trouble[trouble.key].title, trouble.key);
      if (messages[0].retry_after_ms) assert.equal(trouble.wait_ms, messages[0].retry_after_ms);
    }
  });
}

for (const one of server.breaks) {
  test(`break: ${one.name}`, () => {
    const { heard, ends, stream } = played(one);
    assert.deepEqual(heard, one.messages);
    assert.deepEqual(ends.map(({ reason }) => reason), one.end ? [one.end] : [], "a server that goes is waited for");
    stream.abort();
  });
}

test("every warning the server can make has words of ours", () => {
  const found = new Findings();
  for (const warning of server.warnings) {
    if (warning.code === "unknown_field") continue; // a mistake of ours, never made: the server's own words would do
    found.take(warning);
    assert.ok(words.warning[warning.code], `words.warning lacks ${warning.code}`);
    assert.equal(sentenceOf(found.notices[0], words), words.warning[warning.code]);
  }
});

test("an upload's answer is taken as a session is", () => {
  for (const { messages } of server.sessions) {
    const done = of(messages, "done")[0];
    if (!done) continue;
    const bare = ({ type, seq, latency_ms, ...rest }) => rest;
    const segments = of(messages, "segment").filter(({ interim }) => !interim);
    const found = findingsOfFile({ ...bare(done), segments: segments.map(bare), warnings: of(messages, "warning").map(bare), sha256: "ab", request_id: "r" });
    assert.equal(found.windows, segments.length);
    assert.equal(found.done.verdict, done.verdict);
    assert.equal(found.lag_ms, null, "a file has no lag");
    assert.equal(found.notices.length, new Set(of(messages, "warning").map(({ code }) => code)).size);
  }
});

test("what the page says is what tests/wire/client.json says", () => {
  FakeSocket.made = [];
  const clock = new FakeClock();
  const make = (rate, profile) => {
    const config = { profile, detail: "full" };
    const stream = new Stream({ url: "ws://x/v1/stream", rate, config, socket: (url) => new FakeSocket(url), clock, random: () => 0.5 });
    stream.open();
    return { stream, socket: FakeSocket.made.at(-1).accept() };
  };
  assert.deepEqual(make(44100, "strict").socket.start, said["start strict"]);
  const { stream, socket } = make(48000, "balanced");
  assert.deepEqual(socket.start, said.start);
  const ready = server.sessions[0].messages[0];
  socket.say(ready);
  socket.say({ type: "verdict", seq: 5, channel: 0, as_of_ms: 1000 });
  clock.pass(12_000);
  assert.deepEqual(socket.texts.at(-1), said.keepalive);
  if (stream.update) {
    stream.update({ profile: "strict" });
    assert.deepEqual(socket.texts.at(-1), said.update);
    stream.update({ profile: "balanced" });
  }
  socket.drop(1006);
  clock.pass(1000);
  const again = FakeSocket.made.at(-1).accept();
  assert.deepEqual(again.start, said.resume);
  again.say({ ...ready, resume: { accepted: true, continue_from_ms: 0 } });
  stream.finish();
  assert.deepEqual(again.texts.at(-1), said.stop);
  assert.ok(again.texts.every((message) => Object.values(said).some((one) => one.type === message.type)), "nothing is said that the server was not tested with");
});
