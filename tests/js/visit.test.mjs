// visit.js: what was checked, newest first, bounded; what is on show; what was taken away can come back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Check } from "../../static/js/check.js";
import { Visit } from "../../static/js/visit.js";
import { record } from "./fakes.mjs";

const file = (name, phase = "result") => Object.assign(new Check({ kind: "file", source: name, profile: "balanced", file: { name, size: 1 } }), { phase });
const names = (visit) => visit.checks.map(({ source }) => source).join("");
const visitOf = (options) => {
  const frames = [];
  const visit = new Visit({ nextFrame: (act) => frames.push(act), ...options });
  return { visit, frame: () => frames.splice(0).forEach((act) => act()) };
};

test("newest first; several that came together stay in their own order", () => {
  const { visit } = visitOf();
  const [a, b, c] = ["a", "b", "c"].map((name) => file(name));
  visit.add(a);
  visit.addAll([b, c], b);
  assert.equal(names(visit), "bca");
  assert.equal(visit.selected, b);
  visit.addAll([file("d")], null);
  assert.equal(visit.selected, b, "what is on show stays");
});

test("only the newest are kept, but what is going on or on show stays", () => {
  const { visit } = visitOf({ most: 2 });
  const [a, b, c, d, e] = [file("a"), file("b", "uploading"), file("c"), file("d"), file("e")];
  visit.add(a);
  visit.add(b, false);
  visit.add(c, false);
  assert.equal(names(visit), "cba", "a is on show, b is being sent");
  visit.select(c);
  visit.add(d, false);
  visit.add(e, false);
  assert.equal(names(visit), "edcb");
});

test("changes come once a frame and check", () => {
  const { visit, frame } = visitOf();
  const [a, b] = [file("a"), file("b")];
  visit.addAll([a, b], a);
  frame();
  const seen = record(visit, "change");
  visit.changed(a, { progress: 0.1 });
  visit.changed(a, { progress: 0.2 });
  visit.changed(b);
  assert.equal(seen.length, 0);
  frame();
  assert.deepEqual(seen.map(([, { check }]) => check.source), ["a", "b"]);
  assert.equal(a.progress, 0.2);
});

test("what was taken away comes back to its place, below what came since", () => {
  const { visit } = visitOf();
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => file(name));
  for (const check of [a, b, c]) visit.add(check);
  visit.select(b);
  const back = visit.take([b]);
  assert.equal(names(visit), "ca");
  assert.equal(visit.selected, null);
  visit.add(d, false);
  back();
  assert.equal(names(visit), "dcba");
  assert.equal(visit.selected, b, "nothing else was chosen, so it is on show again");
  back();
  assert.equal(names(visit), "dcba", "only once");
});

test("all taken away and back", () => {
  const { visit } = visitOf();
  const all = ["a", "b", "c"].map((name) => file(name));
  visit.addAll(all, all[0]);
  const back = visit.take([...visit.checks]);
  assert.equal(visit.checks.length, 0);
  back();
  assert.equal(names(visit), "abc");
});

test("the recording that goes on is found; a change of what is on show is told once", () => {
  const { visit } = visitOf();
  const live = Object.assign(new Check({ kind: "live", source: "microphone", profile: "balanced" }), { phase: "listening" });
  visit.add(live);
  visit.add(file("a"));
  assert.equal(visit.live, live);
  const seen = record(visit, "list");
  visit.select(live);
  visit.select(live);
  assert.equal(seen.length, 1);
  live.phase = "result";
  assert.equal(visit.live, null);
});
