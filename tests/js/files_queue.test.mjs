// files/queue.js: whose turn it is, one at a time; what makes the line wait, and that it goes on by itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Queue } from "../../static/js/files/queue.js";
import { Trouble } from "../../static/js/found/trouble.js";
import { FakeClock } from "./fakes.mjs";

/** A line whose uploads end when the test says so. */
function line(options = {}) {
  const clock = new FakeClock();
  const begun = [];
  const failed = [];
  const open = new Map();
  const queue = new Queue({
    run: (job, signal) =>
      new Promise((resolve, reject) => {
        begun.push(job);
        open.set(job, { resolve, reject, signal });
        signal.addEventListener("abort", () => reject(new Trouble("aborted", { wait_ms: 0 })));
      }),
    onFailed: (job, trouble) => failed.push([job, trouble.key]),
    clock,
    ...options,
  });
  const settle = async () => {
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  return {
    queue, clock, begun, failed,
    end: (job) => (open.get(job).resolve(), settle()),
    fail: (job, key, wait_ms) => (open.get(job).reject(new Trouble(key, { wait_ms })), settle()),
    throws: (job, error) => (open.get(job).reject(error), settle()),
    settle,
  };
}

test("one at a time, in the order they came", async () => {
  const { queue, begun, end } = line();
  queue.add(["a", "b"]);
  queue.add(["c"]);
  assert.deepEqual(begun, ["a"]);
  assert.deepEqual(queue.waiting, ["b", "c"]);
  await end("a");
  await end("b");
  await end("c");
  assert.deepEqual(begun, ["a", "b", "c"]);
  assert.equal(queue.running, null);
});

test("a bad file fails alone, whatever is wrong with it", async () => {
  const { queue, begun, failed, fail, throws, end } = line();
  queue.add(["a", "b", "c", "d"]);
  await fail("a", "notAudio");
  await throws("b", new TypeError("a slip of ours"));
  await fail("c", "cut", 0);
  await end("d");
  assert.deepEqual(begun, ["a", "b", "c", "d"]);
  assert.deepEqual(failed, [["a", "notAudio"], ["b", "other"], ["c", "cut"]]);
});

test("a full server makes the line wait as long as it asks, and the same file goes on by itself", async () => {
  const { queue, clock, begun, failed, fail, end } = line();
  queue.add(["a", "b"]);
  await fail("a", "full", 5000);
  assert.deepEqual([queue.waiting, queue.held.key, queue.held_until], [["a", "b"], "full", 5000]);
  queue.add(["c"]);
  clock.pass(4999);
  assert.deepEqual(begun, ["a"], "nobody overtakes");
  clock.pass(1);
  assert.deepEqual(begun, ["a", "a"]);
  assert.equal(queue.held, null);
  await end("a");
  assert.deepEqual(begun.at(-1), "b");
  assert.deepEqual(failed, []);
});

test("a server that refuses again and again is asked less and less often; after a success anew", async () => {
  const { queue, clock, fail, end } = line();
  queue.add(["a", "b"]);
  const pauses = [];
  for (let i = 0; i < 8; i++) {
    await fail("a", "limited", 100);
    pauses.push(queue.held_until - clock.time);
    clock.pass(pauses.at(-1));
  }
  assert.deepEqual(pauses, [1000, 2000, 5000, 10_000, 20_000, 30_000, 30_000, 30_000]);
  await end("a");
  await fail("b", "full", 100);
  assert.equal(queue.held_until - clock.time, 1000);
});

test("a quota of days is waited for, although no timer runs that long", async () => {
  const { queue, clock, begun, fail } = line();
  const days_ms = 40 * 86_400_000;
  queue.add(["a"]);
  await fail("a", "quota", days_ms);
  clock.pass(days_ms - 1);
  assert.equal(begun.length, 1);
  clock.pass(1);
  assert.equal(begun.length, 2);
});

test("without a key the line waits until there is one", async () => {
  const { queue, clock, begun, fail } = line();
  queue.add(["a", "b"]);
  await fail("a", "needsKey");
  clock.pass(1e9);
  assert.deepEqual(begun, ["a"]);
  assert.equal(clock.pending, 0);
  queue.release();
  assert.deepEqual(begun, ["a", "a"]);
});

test("a server that does not answer is tried four times, then the file fails; the next has one try", async () => {
  const { queue, clock, begun, failed, fail, end } = line();
  queue.add(["a", "b", "c"]);
  for (let i = 0; i < 4; i++) {
    await fail("a", "unreachable", 0);
    clock.pass(60_000);
  }
  assert.deepEqual(failed, [["a", "unreachable"]]);
  await fail("b", "unreachable", 0);
  assert.deepEqual(failed.at(-1), ["b", "unreachable"]);
  await end("c");
  assert.deepEqual(begun, ["a", "a", "a", "a", "b", "c"]);
});

test("cancelling: the one being sent, one that waits, all that wait", async () => {
  const { queue, begun, failed, settle } = line();
  queue.add(["a", "b", "c", "d"]);
  queue.cancel("b");
  queue.cancel("a");
  await settle();
  assert.deepEqual(failed, [["a", "aborted"]]);
  assert.deepEqual(begun, ["a", "c"]);
  assert.deepEqual(queue.cancelWaiting(), ["d"]);
  await settle();
  assert.deepEqual([queue.running, queue.waiting, begun], ["c", [], ["a", "c"]]);
});

test("cancelled while the line is held: nothing wakes, and the next file starts at once", async () => {
  const { queue, clock, begun, fail } = line();
  queue.add(["a"]);
  await fail("a", "full", 60_000);
  queue.cancel("a");
  assert.deepEqual([queue.held, clock.pending], [null, 0]);
  queue.add(["b"]);
  assert.deepEqual(begun, ["a", "b"]);
});

test("a retry stands at the end of the line", async () => {
  const { queue, begun, fail, end } = line();
  queue.add(["a", "b", "c"]);
  await fail("a", "cut", 0);
  queue.add(["a"]);
  await end("b");
  await end("c");
  assert.deepEqual(begun, ["a", "b", "c", "a"]);
});

test("no more wait than the line may hold; the rest is given back", () => {
  const { queue } = line({ most: 2 });
  assert.deepEqual(queue.add(["a", "b", "c", "d"]), ["a", "b"]); // a goes at once
  assert.equal(queue.room, 1);
  assert.deepEqual(queue.add(["e", "f"]), ["e"]);
  assert.equal(queue.room, 0);
});

test("nothing begins while it may not, and a word is enough to go on", async () => {
  let may = false;
  const { queue, begun } = line({ mayStart: () => may });
  queue.add(["a"]);
  assert.deepEqual(begun, []);
  may = true;
  queue.go();
  assert.deepEqual(begun, ["a"]);
});
