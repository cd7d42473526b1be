// panel.js, reasons.js, explain.js: phases of a check, why an answer is not surer, and the operating points. A reason is given only when measurements show it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Check } from "../../static/js/check.js";
import { Trouble } from "../../static/js/found/trouble.js";
import { findings, findingsOfFile } from "../../static/js/found/verdict.js";
import { barsOf, llrOf, ratesOf } from "../../static/js/view/explain.js";
import { buttonsOf, factsOf, panelOf } from "../../static/js/view/panel.js";
import { reasonsOf } from "../../static/js/view/reasons.js";
import { LANGUAGES, words } from "../../static/js/words/index.js";

const POINTS = { fast: [0.41, 0.6], balanced: [0.3, 0.71], strict: [0.18, 0.92] };
const GOOD = { level_dbfs: -20, clipping: 0, bandwidth_hz: 7900 };

/** A segment of a session with a hop of half a second; `speech` is the share of the newest hop. */
function* session(count, { verdict = "uncertain", score = 0.5, quality = GOOD, speech = () => 1 } = {}) {
  const of = (what, k) => (typeof what === "function" ? what(k) : what);
  let said = 0;
  const hops = [2 * speech(0)]; // the first window has two
  for (let k = 0; k < count; k++) {
    if (k) hops.push(speech(k));
    const end_ms = 1000 + 500 * k;
    const within = hops.slice(-8).reduce((sum, share) => sum + 500 * share, 0);
    said += 500 * hops.at(-1);
    yield { type: "segment", index: k, channel: 0, start_ms: Math.max(0, end_ms - 4000), end_ms, verdict: of(verdict, k), score: of(score, k), llr: 0, speech_ms: Math.min(4000, within), quality: of(quality, k), behind_ms: 120 }; // prettier-ignore
    yield { type: "verdict", as_of_ms: end_ms, channel: 0, verdict: of(verdict, k), score: of(score, k), llr: 0, speech_ms: said, state: said < 1000 ? "warming" : k < 10 ? "provisional" : "stable", changed: false, segments: {} }; // prettier-ignore
  }
}

function live(messages, phase = "listening") {
  const check = new Check({ kind: "live", source: "X", profile: "balanced" });
  return Object.assign(check, { phase, found: findings([...messages]) });
}

function file(segments, done) {
  const check = new Check({ kind: "file", source: "X", profile: "balanced", file: /** @type {any} */ ({ name: "x.wav" }) });
  const answer = { duration_ms: 8000, speech_ms: 7000, verdict: "uncertain", score: 0.5, llr: 0, channels: [{ llr: 0 }], spoof_ranges: [], warnings: [], ...done, segments };
  return Object.assign(check, { phase: "result", found: findingsOfFile(answer) });
}

const keys = (check) => reasonsOf(check, words, POINTS).map(({ key }) => key);
const segmentsOf = (messages) => [...messages].filter(({ type }) => type === "segment");

test("an uncertain answer on a good recording is only said to lie between the limits", () => {
  const [reason, ...more] = reasonsOf(live(session(14)), words, POINTS);
  assert.deepEqual([reason.key, more.length], ["between", 0]);
  assert.match(reason.text, /0\.50 lies between 0\.30 and 0\.71/);
  assert.equal(reason.todo, words.why.between.todo.live);
  assert.equal(reasonsOf(file(segmentsOf(session(14))), words, POINTS)[0].todo, words.why.between.todo.file);
});

test("a sure answer on a good recording has no reasons against it", () => {
  assert.deepEqual(keys(live(session(14, { verdict: "bonafide", score: 0.05 }))), []);
  assert.deepEqual(keys(live(session(14, { verdict: "spoof", score: 0.95 }))), []);
});

test("each reason comes from what was measured", () => {
  const with_ = (quality, more = {}) => keys(live(session(14, { verdict: "spoof", score: 0.95, quality: { ...GOOD, ...quality }, ...more })));
  assert.deepEqual(with_({ clipping: 0.01 }), ["clipped"]);
  assert.deepEqual(with_({ level_dbfs: -52 }), ["faint"]);
  assert.deepEqual(with_({ bandwidth_hz: 3400 }), ["narrow"]);
  assert.deepEqual(with_({ bandwidth_hz: 6900 }), ["dull"]);
  assert.deepEqual(with_({ bandwidth_hz: null }), [], "what was not measured is no reason");
  assert.deepEqual(keys(live(session(4, { verdict: "spoof", score: 0.95 }))), ["short"]);
  assert.deepEqual(keys(live(session(14, { verdict: "spoof", score: 0.95, quality: (k) => ({ ...GOOD, bandwidth_hz: k === 7 ? 7900 : 5000 }) }))), [], "one bright hop is enough");
  assert.deepEqual(keys(live(session(14, { verdict: "spoof", score: 0.95, quality: undefined }))), [], "a server that measures nothing");
});

test("noise is what is left when nobody speaks, and only when there was a pause", () => {
  const pauses = (k) => (k > 2 && k % 4 === 0 ? 0 : 1);
  const noisy = (db) => keys(live(session(24, { verdict: "spoof", score: 0.95, speech: pauses, quality: (k) => ({ ...GOOD, level_dbfs: pauses(k) ? -20 : -20 - db }) })));
  assert.deepEqual(noisy(6), ["noisy"]);
  assert.deepEqual(noisy(40), []);
  assert.match(reasonsOf(live(session(24, { verdict: "spoof", score: 0.95, speech: pauses, quality: (k) => ({ ...GOOD, level_dbfs: pauses(k) ? -20 : -26 }) })), words, POINTS)[0].text, /only 6 dB/);
});

test("a changing verdict is told with its counts; three reasons at most, and an uncertain answer always says where it stands", () => {
  const mixed = live(session(14, { verdict: (k) => (k < 7 ? "spoof" : k < 13 ? "bonafide" : "uncertain") }));
  assert.deepEqual(keys(mixed), ["mixed", "between"]);
  assert.match(reasonsOf(mixed, words, POINTS)[0].text, /7 of 14 pieces sound machine-made, 6 human/);
  const poor = live(session(6, { quality: { level_dbfs: -50, clipping: 0.02, bandwidth_hz: 3000 } }));
  assert.deepEqual(keys(poor), ["short", "clipped", "between"]);
});

test("silence is told from sound without a voice", () => {
  const none = { verdict: "no_speech", score: null, speech: () => 0 };
  assert.deepEqual(keys(live(session(6, { ...none, quality: { ...GOOD, level_dbfs: -80 } }))), ["silent"]);
  assert.deepEqual(keys(live(session(6, none))), ["voiceless"]);
  assert.deepEqual(keys(live([])), []);
});

test("the channel that speaks for all is the one whose reasons are given", () => {
  const channels = (channel, quality) => segmentsOf(session(14, { verdict: "spoof", score: 0.9, quality })).map((segment) => ({ ...segment, channel }));
  const both = file([...channels(0, GOOD), ...channels(1, { ...GOOD, clipping: 0.05 })], { verdict: "spoof", channels: [{ llr: 3 }, { llr: 1 }] });
  assert.deepEqual(keys(both), []);
  both.found.done.channels[1].llr = 5;
  assert.deepEqual(keys(both), ["clipped"]);
});

test("reasons can be said in every language", () => {
  for (const language of Object.values(LANGUAGES)) {
    for (const { text, todo } of reasonsOf(live(session(6, { quality: { level_dbfs: -50, clipping: 0.02, bandwidth_hz: 3000 } })), language, POINTS)) {
      assert.ok(text && todo && !/undefined|NaN/.test(text + todo));
    }
  }
});

test("a pause keeps the verdict and says that nothing is heard", () => {
  const panel = panelOf(live(session(14, { verdict: "spoof", score: 0.95 }), "paused"), words);
  assert.deepEqual([panel.tone, panel.title], ["spoof", words.name.spoof]);
  assert.match(panel.status, /Paused\. Nothing is heard/);
  const early = panelOf(live([], "paused"), words);
  assert.equal(early.title, words.panel.paused.title);
  assert.equal(buttonsOf(live([], "paused"), words).act, "stop");
});

test("a file that waits says for what; more files may join it", () => {
  const check = Object.assign(new Check({ kind: "file", source: "X", profile: "balanced" }), { phase: "waiting", ahead: 2 });
  assert.deepEqual([panelOf(check, words).title, panelOf(check, words).sentence], [words.wait.title, words.wait.turn(2)]);
  check.trouble = new Trouble("full", { wait_ms: 4000 });
  assert.ok(panelOf(check, words).sentence.includes(words.wait.full(0)));
  assert.deepEqual(buttonsOf(check, words), { primary: words.button.cancel, primaryOn: true, act: "cancel", fileOn: true });
});

test("the big button stops the recording, whatever is on show", () => {
  const old = file(segmentsOf(session(14)));
  assert.equal(buttonsOf(old, words).act, "start");
  assert.equal(buttonsOf(old, words, live(session(3))).act, "stop");
  assert.equal(buttonsOf(old, words, live([], "asking")).act, "cancel");
});

test("the time to the first answer is counted from the first speech to the screen", () => {
  const late = live(session(12, { verdict: "spoof", score: 0.95, speech: (k) => (k < 4 ? 0 : 1) }));
  // Speech begins with hop 4 at 2500 ms; a second of it has been said at 3500 ms, and is shown 120 ms later.
  assert.equal(late.found.first?.after_ms, 1120);
  assert.equal(factsOf(late, words).first, "1.1 s");
  assert.equal(factsOf(file(segmentsOf(session(14))), words).first, words.none);
});

test("operating points: rates in hundred voices, bars that add up, limits as llr", () => {
  const rates = { false_alarm: 0.0537, miss: 0.1187, uncertain: 0.2675, bonafide_right: 0.6896, spoof_right: 0.6007 };
  assert.deepEqual(ratesOf(rates, words), [
    "Of 100 human voices, 5 are called machine-made.", "Of 100 machine voices, 12 are called human.", "27 of 100 get no clear answer.",
  ]);
  assert.match(ratesOf({ ...rates, false_alarm: 0.003 }, words)[0], /fewer than 1 is/);
  assert.match(ratesOf({ ...rates, false_alarm: 0.01 }, words)[0], /1 is called/);
  assert.deepEqual(ratesOf({ ...rates, miss: null }, words), [words.point.unmeasured]);
  const bars = barsOf(rates);
  for (const bar of Object.values(bars ?? {})) assert.ok(Math.abs(bar.bonafide + bar.uncertain + bar.spoof - 1) < 1e-9);
  assert.equal(barsOf({ ...rates, spoof_right: null }), null);
  assert.ok(Math.abs(llrOf(0.70508) - 0.8717) < 1e-3);
});

test("“all of it” is said of one channel only: of two, the stretches say which", () => {
  const done = { verdict: "spoof", spoof_ranges: [{ channel: 1, start_ms: 0, end_ms: 8000, score: 0.9 }] };
  const segments = segmentsOf(session(4, { verdict: "spoof", score: 0.9 }));
  assert.match(panelOf(file(segments, done), words).sentence, new RegExp(words.basis.all.slice(0, 10)));
  const two = panelOf(file(segments, { ...done, channels: [{ llr: -2 }, { llr: 2 }] }), words);
  assert.ok(!two.sentence.includes(words.basis.all));
  assert.equal(two.ranges.length, 1);
});

test("a middling score beside “machine-made” is explained; a restart is not called silence; a lost line shows the last verdict as such", () => {
  const segments = segmentsOf(session(4, { verdict: "spoof", score: 0.9 }));
  const part = { verdict: "spoof", score: 0.55, spoof_ranges: [{ channel: 0, start_ms: 4000, end_ms: 8000, score: 0.99 }] };
  assert.match(panelOf(file(segments, part), words).sentence, /whole it scores 0\.55, but one stretch/);
  assert.doesNotMatch(panelOf(file(segments, { ...part, score: 0.95 }), words).sentence, /whole/);
  const check = live(session(8, { verdict: "bonafide", score: 0.1 }));
  check.status = { kind: "waiting", at: 0 };
  assert.match(panelOf(check, words).sentence, /^Last verdict: sounds human/);
  check.status = null;
  check.found.restarted({ at_ms: 4500, missing_ms: 0 });
  assert.equal(panelOf(check, words).sentence, words.basis.anew);
});
