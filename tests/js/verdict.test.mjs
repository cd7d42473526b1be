// verdict.js and panel.js: a list of messages in, the words of the panel out. Nothing is claimed before the server claims it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { buttonsOf, factsOf, panelOf, sentenceOf } from "../../static/js/view/panel.js";
import { Trouble } from "../../static/js/found/trouble.js";
import { findings, findingsOfFile, headline } from "../../static/js/found/verdict.js";
import { words } from "../../static/js/words/index.js";

const MODEL = { name: "light", version: "1", sha256: "ab", window_seconds: 4, hop_seconds: 0.5 };
const ready = { type: "ready", seq: 1, model: MODEL, config: { profile: "balanced" } };
const segment = (k, verdict, score) => ({ type: "segment", index: k, channel: 0, start_ms: 0, end_ms: 1000 + k * 500, verdict, score, speech_ms: 900, latency_ms: 80 + k });
const verdict = (k, name, score, speech_ms, state) => ({
  type: "verdict", as_of_ms: 1000 + k * 500, channel: 0, verdict: name, score, llr: 0, speech_ms, state, changed: false, segments: {},
});
const done = (more) => ({
  type: "done", session_id: "s", duration_ms: 6000, speech_ms: 4000, verdict: "bonafide", score: 0.1, llr: -2, channels: [{}], spoof_ranges: [], segments_total: 9,
  dropped_ms: 0, model: MODEL, ...more,
});
const state = (more) => ({ phase: "listening", found: null, trouble: null, status: null, captured_ms: 0, progress: 0, source: "", wait_s: 0, ...more });
const listening = (...messages) => panelOf(state({ found: findings([ready, ...messages]) }), words);

test("before anything is scored the panel only listens", () => {
  const panel = listening();
  assert.equal(panel.tone, "waiting");
  assert.equal(panel.title, words.name.waiting);
});

test("while warming up no verdict is shown, even though the message carries one", () => {
  const panel = listening(segment(0, "spoof", 0.9), verdict(0, "uncertain", 0.9, 600, "warming"));
  assert.equal(panel.tone, "waiting");
  assert.match(panel.sentence, /0\.6 s of speech so far/);
  assert.equal(factsOf(state({ found: findings([segment(0, "spoof", 0.9), verdict(0, "uncertain", 0.9, 600, "warming")]) }), words).score, words.none);
});

test("silence is told from a verdict", () => {
  const panel = listening(segment(0, "no_speech", null), verdict(0, "no_speech", null, 0, "warming"));
  assert.equal(panel.tone, "no_speech");
  assert.equal(panel.sentence, words.basis.noSpeech);
});

test("a verdict says what it rests on", () => {
  const panel = listening(segment(5, "spoof", 0.93), verdict(5, "spoof", 0.93, 3500, "provisional"));
  assert.deepEqual([panel.tone, panel.letter, panel.title], ["spoof", "M", words.name.spoof]);
  assert.match(panel.sentence, /^3\.5 s of speech, provisional/);
  assert.match(listening(segment(9, "bonafide", 0.1), verdict(9, "bonafide", 0.1, 5200, "stable")).sentence, /^5\.2 s of speech, steady/);
  const long = listening(segment(30, "bonafide", 0.1), verdict(30, "bonafide", 0.1, 23_000, "stable"));
  assert.match(long.sentence, /latest seconds, of 23\.0 s of speech in all/, "a running verdict does not rest on everything heard");
});

test("a verdict that turned human does not hide what was before", () => {
  const alert = (at_ms, cleared) => ({ type: "alert", at_ms, rule: "spoof_onset", channel: 0, score: 0.9, cleared });
  const now = [segment(30, "bonafide", 0.1), verdict(30, "bonafide", 0.1, 23_000, "stable")];
  const panel = listening(alert(3000, false), alert(9000, true), ...now);
  assert.equal(panel.tone, "bonafide");
  assert.match(panel.status, /from 0:03 to 0:09, it sounded machine-made/);
  assert.ok(panel.warn);
  assert.equal(listening(alert(3000, false), ...now.slice(0, 1), verdict(30, "spoof", 0.9, 23_000, "stable")).status, "");
});

test("a voice that fell silent is said to be quiet, the verdict stays", () => {
  const panel = listening(
    segment(5, "spoof", 0.9), verdict(5, "spoof", 0.9, 3500, "provisional"),
    segment(13, "no_speech", null), verdict(13, "spoof", 0.9, 3500, "provisional"),
  );
  assert.equal(panel.title, words.name.spoof);
  assert.equal(panel.status, words.basis.quiet(4000));
});

test("the result lists the stretches, a few of them, with tenths of a second", () => {
  const ranges = Array.from({ length: 6 }, (_, i) => ({ channel: 0, start_ms: i * 3000 + 250, end_ms: i * 3000 + 2400, score: 0.9 }));
  const panel = panelOf(state({ phase: "result", found: findings([done({ verdict: "spoof", spoof_ranges: ranges })]) }), words);
  assert.equal(panel.title, words.name.spoof);
  assert.equal(panel.ranges[0], "0:00.3 to 0:02.4 (score 0.90)");
  assert.equal(panel.ranges.length, 5);
  assert.equal(panel.ranges[4], "and 2 more");
});

test("a result without speech claims nothing", () => {
  const panel = panelOf(state({ phase: "result", found: findings([done({ verdict: "no_speech", score: null, speech_ms: 0 })]) }), words);
  assert.equal(panel.tone, "no_speech");
  assert.match(panel.sentence, /no voice that could be judged/);
});

test("after a restart the result says from where it counts", () => {
  const panel = panelOf(state({ phase: "result", found: findings([done({ from_ms: 12_000 })]) }), words);
  assert.match(panel.sentence, /from 0:12 on/);
});

test("a result that begins after a restart does not hide what sounded machine-made before it", () => {
  const found = findings([segment(5, "spoof", 0.9), verdict(5, "spoof", 0.9, 3500, "provisional"), { type: "alert", at_ms: 2000, cleared: false }]);
  found.restarted({ at_ms: 8000, missing_ms: 0 });
  found.take(done({ from_ms: 8000 }));
  const panel = panelOf(state({ phase: "result", found }), words);
  assert.equal(panel.tone, "bonafide");
  assert.match(panel.status, /from 0:02 to 0:08, it sounded machine-made/);
  assert.ok(panel.warn);
});

test("a lost connection is said while listening goes on, and the verdict stays", () => {
  const found = findings([segment(5, "spoof", 0.9), verdict(5, "spoof", 0.9, 3500, "provisional")]);
  const panel = panelOf(state({ found, status: { kind: "waiting", at: 0 }, wait_s: 3 }), words);
  assert.equal(panel.title, words.name.spoof);
  assert.ok(panel.warn);
  assert.match(panel.status, /Connection lost.*in 3 s/);
});

test("when it is lost for good, what was known until then stands", () => {
  const found = findings([segment(5, "spoof", 0.9), verdict(5, "spoof", 0.9, 3500, "provisional")]);
  const panel = panelOf(state({ phase: "failed", found, trouble: new Trouble("lost", { wait_ms: 0 }) }), words);
  assert.equal(panel.tone, "failed");
  assert.match(panel.status, /sounds machine-made, from 3\.5 s/);
});

test("a full server counts down, and the button waits with it", () => {
  const trouble = new Trouble("full", { wait_ms: 5000 });
  assert.match(panelOf(state({ phase: "failed", trouble, wait_s: 5 }), words).sentence, /in 5 s/);
  assert.equal(buttonsOf(state({ phase: "failed", trouble, wait_s: 5 }), words).primaryOn, false);
  assert.deepEqual(buttonsOf(state({ phase: "failed", trouble, wait_s: 0 }), words), { primary: words.button.retry, primaryOn: true, act: "retry", fileOn: true });
});

test("where recording cannot work, a file still can", () => {
  const buttons = buttonsOf(state({ phase: "failed", trouble: new Trouble("insecure", { fact: ":8000" }) }), words);
  assert.deepEqual([buttons.primaryOn, buttons.fileOn], [false, true]);
  assert.match(panelOf(state({ phase: "failed", trouble: new Trouble("insecure", { fact: ":8000" }) }), words).sentence, /http:\/\/127\.0\.0\.1:8000/);
});

test("two channels: two lanes, and the more suspicious one speaks for both", () => {
  const answer = done({
    segments: [segment(0, "bonafide", 0.1), { ...segment(0, "spoof", 0.9), channel: 1 }], warnings: [{ code: "clipping", message: "x", range_ms: [0, 500] }],
    verdict: "spoof", channels: [{}, {}], spoof_ranges: [{ channel: 1, start_ms: 0, end_ms: 2000, score: 0.9 }],
  });
  const found = findingsOfFile(answer);
  assert.equal(found.lanes.length, 2);
  assert.equal(found.lanes[1].cells[0].to_ms, 6000);
  assert.match(panelOf(state({ phase: "result", found }), words).ranges[0], /channel 2/);
  assert.equal(sentenceOf(found.notices[0], words), words.warning.clipping);
  const live = findings([verdict(1, "bonafide", 0.2, 1500, "provisional"), { ...verdict(1, "spoof", 0.8, 1500, "provisional"), channel: 1 }]);
  assert.equal(headline(live).tone, "spoof");
});

test("interim windows are not part of the history", () => {
  assert.equal(findings([{ ...segment(0, "spoof", 0.9), interim: true }]).windows, 0);
});

test("a low level is noted where it began, not where its window did", () => {
  const low = (range_ms) => findings([{ type: "warning", code: "low_level", message: "", range_ms }]).notices[0].at_ms;
  assert.deepEqual([low([14000, 18000]), low([0, 2000])], [16000, 0]);
});

test("the same warning again only counts; an unknown one shows the server's own words; the list is bounded", () => {
  const warn = (code, message = "") => ({ type: "warning", code, message });
  const found = findings([warn("clipping"), warn("low_level"), warn("clipping"), warn("new_thing", "The moon is full.")]);
  assert.equal(found.notices.length, 3);
  assert.equal(sentenceOf(found.notices[0], words), "The moon is full.");
  assert.match(sentenceOf(found.notices[1], words), /2 times/);
  for (let i = 0; i < 100; i++) found.take({ type: "alert", at_ms: i, cleared: false });
  assert.ok(found.notices.length <= 20);
});
