// The small pure modules: samples, backlog, time, levels, retries, troubles, and that every word asked for exists.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Backlog } from "../../static/js/live/backlog.js";
import { Ballistics, share } from "../../static/js/live/meter.js";
import { dbfs, FLOOR_DBFS, levels, toS16 } from "../../static/js/live/pcm.js";
import { pauseBefore, worthRetrying } from "../../static/js/live/retry.js";
import { clock, fineClock, onAxis, ticks } from "../../static/js/found/time.js";
import { Trouble, troubleOfAnswer, troubleOfEnd, troubleOfMicrophone } from "../../static/js/found/trouble.js";
import { LANGUAGES, words } from "../../static/js/words/index.js";
import { ramp } from "./fakes.mjs";

const ROOT = new URL("../../", import.meta.url);
const read = (path) => readFileSync(new URL(path, ROOT), "utf8");

test("floats become s16 as the server reads them, clamped, and NaN is silence", () => {
  assert.deepEqual([...toS16(Float32Array.of(0, 0.5, -1, 1, 2, -2, NaN, 1 / 32768))], [0, 16384, -32768, 32767, 32767, -32768, 0, 1]);
});

test("levels are in dB below full scale", () => {
  const { peak_dbfs, rms_dbfs } = levels(Float32Array.of(0.5, -0.5, 0.5, -0.5));
  assert.ok(Math.abs(peak_dbfs + 6.02) < 0.01 && Math.abs(rms_dbfs + 6.02) < 0.01);
  assert.equal(dbfs(0), FLOOR_DBFS);
  assert.equal(levels(new Float32Array(0)).rms_dbfs, FLOOR_DBFS);
});

test("a backlog cut anywhere gives back what was pushed, silence where it has forgotten", () => {
  const backlog = new Backlog(1000);
  for (let at = 0; at < 3000; at += 70) backlog.push(ramp(at, at + 70));
  assert.ok(backlog.end - backlog.start < 1000 + 70); // whole pieces
  assert.deepEqual([...backlog.read(backlog.start, backlog.end)], [...ramp(backlog.start, backlog.end)]);
  assert.deepEqual([...backlog.read(0, 3)], [0, 0, 0]);
  const middle = backlog.end - 333;
  backlog.forget(middle);
  assert.ok(backlog.start <= middle && middle - backlog.start < 70);
  assert.deepEqual([...backlog.read(middle, backlog.end)], [...ramp(middle, backlog.end)]);
  backlog.forget(backlog.end);
  assert.equal(backlog.start, backlog.end);
});

test("times are written as people write them", () => {
  assert.deepEqual([0, 7400, 65_000, 3_725_000].map(clock), ["0:00", "0:07", "1:05", "1:02:05"]);
  assert.deepEqual([7449, 59_960].map(fineClock), ["0:07.4", "1:00.0"]);
  assert.deepEqual(ticks(0, 30_000, 6), [0, 5000, 10_000, 15_000, 20_000, 25_000, 30_000]);
  assert.ok(ticks(0, 7_200_000, 8).length <= 9);
  assert.deepEqual(ticks(7300, 9000, 4), [8000, 9000]);
});

test("a message is moved along the axis whole, and left alone at the start", () => {
  const ack = { type: "ack", received_ms: 1000, processed_ms: 500, buffered_ms: 500 };
  assert.equal(onAxis(ack, 0), ack);
  assert.deepEqual(onAxis(ack, 250), { type: "ack", received_ms: 1250, processed_ms: 750, buffered_ms: 500 });
  assert.deepEqual(onAxis({ range_ms: [1, 2] }, 10).range_ms, [11, 12]);
});

test("the meter rises at once, falls calmly, holds its peak and remembers clipping for a moment", () => {
  const meter = new Ballistics();
  meter.hear({ peak_dbfs: -6, rms_dbfs: -20 }, 1000);
  meter.fall(1500);
  assert.ok(Math.abs(meter.rms_dbfs + 32) < 0.01);
  assert.equal(meter.peak_dbfs, -6);
  meter.hear({ peak_dbfs: 0, rms_dbfs: -3 }, 2000);
  assert.ok(meter.clipped);
  meter.fall(3300);
  assert.ok(!meter.clipped && meter.peak_dbfs < 0);
  assert.deepEqual([share(0), share(-30), share(-60), share(-100)], [1, 0.5, 0, 0]);
});

test("pauses grow, are spread, and are never shorter than asked", () => {
  assert.ok(pauseBefore(0, 0) < pauseBefore(0, 1));
  assert.ok(pauseBefore(9, 1) <= 12_500);
  assert.equal(pauseBefore(0, 0.5, 7000), 7000);
  assert.deepEqual([1000, 1001, 1006, 1012, 4400, 4401, 4408, 4409, 4503].map(worthRetrying), [false, true, true, true, false, false, true, false, true]);
});

test("each failure of a microphone has its own words", () => {
  const named = (name) => troubleOfMicrophone(Object.assign(new Error("x"), { name })).key;
  assert.deepEqual(["NotAllowedError", "NotFoundError", "NotReadableError", "TypeError"].map(named), ["denied", "missing", "busy", "microphone"]);
  const known = new Trouble("insecure");
  assert.equal(troubleOfMicrophone(known), known);
});

test("each end of a stream has its own words, a good one none", () => {
  assert.equal(troubleOfEnd({ reason: "done" }), null);
  const key = (end) => troubleOfEnd(end).key;
  assert.equal(key({ reason: "done", code: "session_too_long" }), "tooLong");
  assert.equal(troubleOfEnd({ reason: "refused", retry_after_ms: 4000 }).wait_ms, 4000);
  assert.equal(key({ reason: "unreachable" }), "unreachable");
  assert.equal(key({ reason: "lost" }), "lost");
  assert.equal(key({ reason: "lost", code: "result_lost" }), "resultLost");
  assert.equal(key({ reason: "failed", close_code: 4401 }), "needsKey");
  assert.equal(key({ reason: "failed", code: "bad_config", message: "m" }), "other");
});

test("each refused upload has its own words", () => {
  const limits = { max_upload_bytes: 1, max_audio_seconds: 1800 };
  const key = (code) => troubleOfAnswer(400, { code }, limits).key;
  assert.deepEqual(["unsupported_audio", "unusable_audio", "empty_audio", "audio_too_long", "upload_too_large", "upload_too_slow", "server_full"].map(key),
    ["notAudio", "unusable", "empty", "fileTooLong", "fileTooBig", "slow", "full"]);
  assert.equal(troubleOfAnswer(413, null, limits).key, "fileTooBig");
  assert.equal(troubleOfAnswer(0, null, limits).key, "unreachable");
  assert.equal(troubleOfAnswer(500, { code: "internal", detail: "oops" }, limits).fact, "oops");
});

test("every trouble the code names has words, and every word the template asks for exists", () => {
  const under = (folder, ending) => readdirSync(new URL(folder, ROOT), { recursive: true }).filter((path) => path.endsWith(ending)).map((path) => read(`${folder}/${path}`)).join("\n");
  const named = [...under("static/js", ".js").matchAll(/new Trouble\((?:[^,;"]*(?:"\w+")? \? "(\w+)" : )?"(\w+)"[,)]/g)].flatMap(([, ...keys]) => keys.filter(Boolean));
  assert.ok(named.length > 30);
  const atTheDoor = ["wrongKey", "keyEnded", "keyScope", "localOnly", "needsKey"];
  for (const language of Object.values(LANGUAGES)) {
    for (const key of [...named, ...atTheDoor]) assert.ok((language.trouble[key]?.title && language.trouble[key].text) || language.wait[key], key); // what only holds a file up is said there
  }
  const template = read("templates/index.html") + under("templates/page", ".html").replaceAll(/{{.*?}}/g, "");
  const names = [...template.matchAll(/data-words(?:-title|-label)?="([\w.]+\w)"/g)].map((m) => m[1]);
  assert.ok(names.length > 10);
  for (const name of names) assert.equal(typeof name.split(".").reduce((w, part) => w[part], words), "string", name);
});

test("the server's warning codes all have words of ours", () => {
  const codes = read("app/core/messages.py").match(/WarningCode = Literal\[([^\]]*)\]/)[1].match(/\w+/g);
  const shown = new Set(["unknown_field"]); // said in the server's own words: they carry names
  for (const code of codes) assert.ok(words.warning[code] || shown.has(code), `static/js/words/en.js has no words for the warning ${code}`);
});
