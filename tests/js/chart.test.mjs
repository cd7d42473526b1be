// axis.js, colours.js, readout.js and found/activity.js: the axis under any row of movements, the colours' evenness, the speech of hops from windows that
// overlap, and the words for a moment.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Axis, FOLLOW_MS, LEAST_MS, Scale, fineTicks } from "../../static/js/chart/axis.js";
import { ramp } from "../../static/js/chart/colours.js";
import { COLUMNS, PARTS, lookAt, partsOf, rowOf, sentenceOf } from "../../static/js/chart/readout.js";
import { Sound } from "../../static/js/chart/sound.js";
import { layoutOf } from "../../static/js/chart/tracks.js";
import { Activity } from "../../static/js/found/activity.js";
import { findings } from "../../static/js/found/verdict.js";
import { words } from "../../static/js/words/index.js";
import { dice } from "./dice.mjs";

// --- the axis --------------------------------------------------------------------------------------------

test("whatever is done to it, the axis shows a stretch of what there is", () => {
  const random = dice(1);
  for (let round = 0; round < 50; round++) {
    const axis = new Axis();
    const live = random() < 0.5;
    let total = 0;
    for (let step = 0; step < 60; step++) {
      const at = axis.from_ms + random() * axis.span_ms;
      [
        () => axis.grow((total += random() * 60_000), live),
        () => axis.zoom(0.1 + random() * 3, at),
        () => axis.zoom(0.1 + random() * 3),
        () => axis.pan((random() - 0.5) * 200_000),
        () => axis.reveal(random() * total, random() * total),
        () => axis.keep(random() * total),
        () => axis.fit(),
        () => live && axis.follow(),
      ][Math.floor(random() * 8)]();
      assert.ok(axis.from_ms >= 0 && axis.to_ms <= axis.whole_ms + 1e-6, `${axis.from_ms}..${axis.to_ms} of ${axis.whole_ms}`);
      assert.ok(axis.span_ms >= Math.min(LEAST_MS, axis.whole_ms) - 1e-6);
      assert.ok(!(axis.following && axis.fitting));
    }
  }
});

test("listening follows the newest 30 s, moving away stops that, the end of the axis takes it up again", () => {
  const axis = new Axis();
  axis.grow(0, true);
  assert.deepEqual([axis.from_ms, axis.span_ms, axis.following], [0, FOLLOW_MS, true]);
  axis.grow(100_000, true);
  assert.deepEqual([axis.from_ms, axis.to_ms], [70_000, 100_000]);
  axis.zoom(0.5);
  assert.deepEqual([axis.to_ms, axis.span_ms, axis.following], [100_000, 15_000, true], "a zoom without a place keeps the newest in sight");
  axis.pan(-20_000);
  axis.grow(130_000, true);
  assert.deepEqual([axis.from_ms, axis.following], [65_000, false]);
  axis.pan(1e9);
  assert.ok(axis.following);
  axis.fit();
  assert.ok(axis.fitting && axis.span_ms >= 130_000 && axis.span_ms < 1.05 * 130_000);
  axis.follow();
  assert.deepEqual([axis.to_ms, axis.span_ms], [130_000, FOLLOW_MS]);
  axis.grow(131_000, false);
  assert.deepEqual([axis.from_ms, axis.span_ms], [0, 131_000], "when it is over, all of it");
});

test("a result keeps the stretch somebody was looking at", () => {
  const axis = new Axis();
  axis.grow(0, true);
  axis.grow(100_000, true);
  axis.reveal(20_000, 24_000);
  const { from_ms, span_ms } = axis;
  axis.grow(110_000, false);
  assert.deepEqual([axis.from_ms, axis.span_ms], [from_ms, span_ms]);
});

test("zooming keeps the moment under the pointer where it is", () => {
  const axis = new Axis();
  axis.grow(600_000, false);
  axis.zoom(0.1, 200_000);
  const scale = () => new Scale(axis.from_ms, axis.to_ms, 70, 900);
  for (const factor of [0.5, 0.7, 1.3, 0.2]) {
    const x = scale().x(205_000);
    axis.zoom(factor, 205_000);
    assert.ok(Math.abs(scale().x(205_000) - x) < 1e-6);
  }
  assert.ok(Math.abs(scale().ms(scale().x(204_000)) - 204_000) < 1e-6);
  assert.equal(scale().x(-5), 70);
});

test("ticks under a second are round and few", () => {
  assert.deepEqual(fineTicks(1020, 1180, 8), [1020, 1040, 1060, 1080, 1100, 1120, 1140, 1160, 1180]);
  assert.deepEqual(fineTicks(0, 30_000, 9), []);
});

test("the tracks lie one below the other, on a phone too", () => {
  for (const [width, lanes] of [[320, 1], [1000, 2]]) {
    const layout = layoutOf(width, lanes);
    const tracks = [layout.marks, layout.wave, layout.spectrum, layout.score, layout.speech, ...layout.strips, layout.axis];
    tracks.slice(1).forEach((track, i) => assert.ok(track.top >= tracks[i].top + tracks[i].height));
    assert.equal(layout.height, layout.axis.top + layout.axis.height);
    assert.ok(layout.right - layout.left > 0.75 * width);
  }
});

// --- colours ---------------------------------------------------------------------------------------------

test("louder is always and evenly darker on light ground and lighter on dark", () => {
  for (const dark of [false, true]) {
    const lightness = [...ramp(dark)].map((pixel) => {
      const [r, g, b] = [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
      const y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
      return 116 * Math.cbrt(Math.max(y, 0.008856)) - 16; // CIE L*
    });
    const steps = lightness.slice(8).map((value, i) => (dark ? 1 : -1) * (value - lightness[i]));
    assert.ok(Math.min(...steps) > 0, "it never turns back");
    assert.ok(Math.max(...steps) < 2.5 * (Math.abs(lightness.at(-1) - lightness[0]) / 32), "nor jumps");
    assert.ok([...ramp(dark)].every((pixel) => pixel >>> 24 === 255));
  }
});

// --- speech ----------------------------------------------------------------------------------------------

/**
 * A session's windows over frames of 20 ms that are speech or not: growing from 1 s to 4 s, then sliding by 0.5 s. `late`: the newest frames of a window
 * that are not known when it is scored, as the detector's right context makes them.
 */
function session(frames, { base_ms = 0, late = 0 } = {}) {
  const count = (from, to) => frames.slice(from, Math.max(from, to)).filter(Boolean).length * 20;
  const out = [];
  for (let end = 50; end <= frames.length; end += 25) {
    const start = Math.max(0, end - 200);
    const known = end - late;
    out.push({
      start_ms: base_ms + start * 20, end_ms: base_ms + end * 20, speech_ms: count(start, known), fresh: count(end === 50 ? 0 : known - 25, known), so_far: count(0, known),
    });
  }
  return out;
}

/** Talk and pauses of any length. */
function talk(random, seconds) {
  const frames = [];
  for (let speaking = false; frames.length < seconds * 50; speaking = !speaking) frames.push(...Array(Math.ceil(random() ** 2 * 150)).fill(speaking));
  return frames.slice(0, seconds * 50);
}

/** What the page hears of them: the window and, live, the running verdict after it. */
function heard(windows, { live }) {
  const activity = new Activity();
  for (const window of windows) {
    activity.add(window);
    if (live) activity.counted({ as_of_ms: window.end_ms, speech_ms: window.so_far });
  }
  return activity;
}

test("while listening the speech of every hop comes back exactly, after a restart and a gap as well", () => {
  const random = dice(2);
  for (const late of [0, 5]) {
    for (const missing_ms of [0, 3700]) {
      for (let round = 0; round < 15; round++) {
        const first = session(talk(random, 5 + random() * 40), { late });
        const at = first.at(-1).end_ms + missing_ms;
        const windows = [...first, ...session(talk(random, 20), { base_ms: at, late })];
        const activity = heard(windows, { live: true });
        assert.deepEqual(activity.hops.map((hop) => hop.speech_ms), windows.map((window) => window.fresh));
        assert.equal(activity.hops[first.length].from_ms, at);
        assert.equal(activity.between(at - missing_ms, at), 0, "nothing is claimed of what was not heard");
      }
    }
  }
});

test("the last window, which knows its own end, may count more speech than its time holds: none of it is lost", () => {
  const activity = heard(session(Array(300).fill(true), { late: 5 }), { live: true });
  activity.add({ start_ms: 2060, end_ms: 6060, speech_ms: 4000 });
  activity.counted({ as_of_ms: 6060, speech_ms: 6060 });
  assert.equal(activity.between(0, 6060), 6060);
  assert.ok(activity.hops.every((hop) => hop.speech_ms <= hop.to_ms - hop.from_ms));
});

test("from a file's windows alone: exact while they grow, close afterwards, never drifting, never more than there is room for", () => {
  const random = dice(3);
  for (const late of [0, 5]) {
    const off = [];
    for (let round = 0; round < 40; round++) {
      const windows = session(talk(random, 30 + random() * 90), { late });
      const { hops } = heard(windows, { live: false });
      assert.deepEqual(hops.slice(0, 7).map((hop) => hop.speech_ms), windows.slice(0, 7).map((window) => window.fresh));
      assert.ok(hops.every((hop) => hop.speech_ms >= 0 && hop.speech_ms <= hop.to_ms - hop.from_ms));
      hops.forEach((hop, i) => off.push(Math.abs(hop.speech_ms - windows[i].fresh)));
      const sum = (all) => all.reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum(hops.map((hop) => hop.speech_ms)) - windows.at(-1).so_far) < 600 + (late ? 0.04 : 0) * windows.at(-1).so_far, "the sum stays right");
      for (let w = 20; w < windows.length; w += 9) {
        const mine = sum(hops.slice(w - 7, w + 1).map((hop) => hop.speech_ms));
        assert.ok(Math.abs(mine - windows[w].speech_ms) <= 500, `window ${w}: ${mine} for ${windows[w].speech_ms}`);
      }
    }
    const mean = off.reduce((a, b) => a + b) / off.length;
    assert.ok(mean < (late ? 60 : 40), `on average ${mean.toFixed(0)} ms off`);
  }
});

test("ten hours of hops stay few and lose no speech", () => {
  const activity = new Activity();
  let total = 0;
  for (let k = 0; k < 72_000; k++) {
    const fresh = (k * 37) % 501;
    total += fresh;
    activity.add({ start_ms: 500 * k, end_ms: 500 * (k + 1), speech_ms: fresh });
  }
  assert.ok(activity.hops.length <= 4096);
  assert.equal(activity.hops.reduce((sum, hop) => sum + hop.speech_ms, 0), total);
  assert.equal(activity.hops[0].from_ms, 0);
});

// --- what is known of a moment ----------------------------------------------------------------------------

const QUALITY = { level_dbfs: -21.4, clipping: 0.034, bandwidth_hz: 7600 };
const segment = (k, verdict, score, llr, channel = 0) => ({
  type: "segment", index: k, channel, start_ms: Math.max(0, 500 * k - 3000), end_ms: 1000 + 500 * k, verdict, score, llr, speech_ms: 900, latency_ms: 9, quality: QUALITY,
});

test("a moment is told with all its figures, in the line and as a sentence", () => {
  const found = findings([segment(0, "bonafide", 0.2, -1.4), segment(1, "spoof", 0.93, 2.6), { type: "alert", at_ms: 1200, cleared: false }]);
  const sound = new Sound(8000);
  sound.push(Float32Array.from({ length: 12_000 }, (_, n) => 0.5 * Math.sin(n)));
  const look = lookAt({ found, sound }, 1200, 10);
  const parts = partsOf(look, words);
  assert.deepEqual(Object.keys(parts), PARTS.slice());
  assert.equal(parts.time, "0:01.2");
  assert.equal(parts.level, "−6 dB");
  assert.equal(parts.score, "0.93");
  assert.equal(parts.llr, "+2.60");
  assert.match(parts.verdict, /Sounds machine-made · alarm raised/);
  assert.equal(parts.window, "0:00.0–0:01.5");
  assert.match(parts.quality, /−21 dB · 7.6 kHz · 3 % clipped/);
  assert.match(sentenceOf(look, words), /0:01\.2.*Score 0\.93.*LLR \+2\.60/);
});

test("where nothing is known nothing is claimed; a gap says so; of two channels the more suspicious one speaks", () => {
  const nothing = partsOf(lookAt({ found: null, sound: null }, 500, 10), words);
  assert.ok(PARTS.slice(1).every((name) => nothing[name] === words.none));
  const found = findings([segment(0, "bonafide", 0.2, -1.4), segment(0, "spoof", 0.9, 2.2, 1)]);
  assert.match(partsOf(lookAt({ found, sound: null }, 500, 10), words).verdict, /machine-made, channel 2/);
  found.restarted({ at_ms: 5000, missing_ms: 3000 });
  const gap = lookAt({ found, sound: null }, 3000, 10);
  assert.equal(partsOf(gap, words).verdict, words.plot.gap);
  assert.equal(partsOf(gap, words).llr, words.none);
});

test("a row of the table has every column, for a joined cell and a gap too", () => {
  const found = findings(Array.from({ length: 3000 }, (_, k) => segment(k, "bonafide", 0.2, -1.4)));
  found.restarted({ at_ms: 1_600_000, missing_ms: 50_000 });
  const { cells } = found.lanes[0];
  assert.ok(cells[0].windows > 1);
  assert.ok(Math.abs(cells[0].llr + 1.4) < 1e-9);
  for (const cell of [cells[0], cells.at(-2), cells.at(-1)]) {
    const row = rowOf(cell, 0, 1, words);
    for (const name of COLUMNS) assert.equal(typeof row[name], "string");
  }
  assert.equal(rowOf(cells.at(-2), 0, 1, words).speech, "0.9 of 4.0 s");
});

test("marks are kept beside the notices, and stay bounded", () => {
  const found = findings([]);
  for (let k = 0; k < 1000; k++) found.take({ type: "alert", at_ms: k * 1000, cleared: k % 2 === 1 });
  found.note({ kind: "dropped", at_ms: 5, to_ms: 9 });
  assert.ok(found.marks.length <= 400);
  assert.deepEqual(found.marks.at(-1), { kind: "dropped", at_ms: 5, to_ms: 9 });
});
