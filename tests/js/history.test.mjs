// history.js: cells cover the time axis without holes, agree with the server's own ranges, and stay few for hours.

import assert from "node:assert/strict";
import { test } from "node:test";
import { History } from "../../static/js/found/history.js";
import { stretch as visible } from "../../static/js/chart/tracks.js";

/** The windows of a stream: 4 s growing from 1 s, hop 0.5 s. */
function* windows(count, verdictOf = () => "bonafide", scoreOf = () => 0.2) {
  for (let k = 0; k < count; k++) {
    const end_ms = 1000 + 500 * k;
    yield { start_ms: Math.max(0, end_ms - 4000), end_ms, verdict: verdictOf(k), score: scoreOf(k) };
  }
}

function filled(count, verdictOf, scoreOf, ...sizes) {
  const history = new History(...sizes);
  for (const window of windows(count, verdictOf, scoreOf)) history.add(window);
  return history;
}

test("cells meet at the middles between windows' middles and reach to both ends", () => {
  const history = filled(10);
  history.close(5600);
  const cells = history.cells;
  assert.equal(cells[0].from_ms, 0);
  assert.equal(cells[0].to_ms, 625); // middles 500 and 750
  assert.equal(cells[8].from_ms, 2750); // middles 2500 and 3000
  assert.equal(cells.at(-1).to_ms, 5600);
  for (let i = 1; i < cells.length; i++) assert.equal(cells[i].from_ms, cells[i - 1].to_ms);
});

test("two hours stay bounded, contiguous and evenly fine, and nothing suspicious is smoothed away", () => {
  const history = filled(14400, (k) => (k === 700 ? "spoof" : k === 9000 ? "uncertain" : "bonafide"), (k) => (k === 700 ? 0.97 : 0.1));
  const cells = history.cells;
  assert.ok(cells.length <= 2048, String(cells.length));
  for (let i = 1; i < cells.length; i++) assert.equal(cells[i].from_ms, cells[i - 1].to_ms);
  assert.ok(Math.max(...cells.map((c) => c.windows)) <= 32, "the oldest part is not crushed into a few cells");
  assert.equal(cells.reduce((sum, c) => sum + c.windows, 0), 14400);
  const hit = cells.find((c) => c.verdict === "spoof");
  assert.equal(hit.high, 0.97);
  assert.ok(hit.from_ms <= 349_000 && hit.to_ms >= 349_000);
  assert.ok(cells.some((c) => c.verdict === "uncertain"));
});

test("windows without a score keep their place and do not spoil the mean", () => {
  const history = filled(40, (k) => (k % 2 ? "no_speech" : "bonafide"), (k) => (k % 2 ? null : 0.4), 20, 4);
  assert.ok(history.cells.length <= 20);
  const merged = history.cells.find((c) => c.windows > 1);
  assert.equal(merged.verdict, "bonafide");
  assert.ok(Math.abs(merged.score - 0.4) < 1e-9);
});

test("a gap is kept as a gap, whatever is merged around it", () => {
  const history = new History(16, 4);
  for (const window of windows(8)) history.add(window);
  history.gap(4500, 9000);
  for (let k = 0; k < 40; k++) history.add({ start_ms: 9000 + 500 * k, end_ms: 10000 + 500 * k, verdict: "bonafide", score: 0.1 });
  const gap = history.cells.find((c) => c.gap);
  assert.deepEqual([gap.from_ms, gap.to_ms], [4500, 9000]);
  assert.equal(history.cells[history.cells.indexOf(gap) + 1].from_ms, 9000);
});

test("only gaps, more than there is room for, still end", () => {
  const history = new History(8, 2);
  for (let k = 0; k < 20; k++) {
    history.gap(k * 100, k * 100 + 50);
    history.add({ start_ms: k * 100 + 50, end_ms: k * 100 + 100, verdict: "bonafide", score: 0 });
  }
  assert.ok(history.cells.length > 0);
});

test("only what touches the stretch is drawn", () => {
  const { cells } = filled(200);
  const some = visible(cells, 30_000, 40_000);
  assert.ok(some[0].from_ms <= 30_000 && some[0].to_ms > 30_000);
  assert.ok(some.at(-1).from_ms < 40_000 && some.at(-1).to_ms >= 40_000);
  assert.deepEqual(visible([], 0, 1), []);
});
