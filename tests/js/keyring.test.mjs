// A key becomes a header or a short-lived token; a refusal becomes its own words. keyring.js, and how stream.js takes it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Keyring, wantsKey } from "../../static/js/live/keyring.js";
import { Stream } from "../../static/js/live/stream.js";
import { Settings } from "../../static/js/settings.js";
import { Trouble, troubleOfEnd } from "../../static/js/found/trouble.js";
import { FakeClock, FakeSocket, record } from "./fakes.mjs";

const answer = (status, content) => ({ ok: status < 400, status, json: async () => content });
const ringOf = (key, ...answers) => {
  const asked = [];
  const ring = new Keyring(new Settings({ key }), "http://x/", async (url, request) => {
    asked.push([String(url), request]);
    const next = answers.length > 1 ? answers.shift() : answers[0];
    if (next instanceof Error) throw next;
    return next;
  });
  return { ring, asked };
};

test("without a key nothing is asked; with one, each connection has a token of its own, and the key is in no address", async () => {
  assert.deepEqual(ringOf("").ring.protocols(), ["voxproof.v1"]);
  assert.deepEqual(ringOf("").ring.headers(), {});
  const { ring, asked } = ringOf("secret", answer(201, { subprotocol: "token.abc" }), answer(201, { subprotocol: "token.def" }));
  assert.deepEqual(await ring.protocols(), ["voxproof.v1", "token.abc"]);
  assert.deepEqual(await ring.protocols(), ["voxproof.v1", "token.def"]);
  assert.equal(asked[0][0], "http://x/v1/tokens");
  assert.equal(asked[0][1].headers.Authorization, "Bearer secret");
});

test("each refusal of a token has its own words", async () => {
  const key = async (...given) => ringOf("k", ...given).ring.protocols().then(() => "none", (trouble) => trouble.key);
  assert.equal(await key(answer(401, { code: "unauthorized" })), "wrongKey");
  assert.equal(await key(answer(401, { code: "authorisation_expired" })), "keyEnded");
  assert.equal(await key(answer(403, { code: "scope_missing" })), "keyScope");
  assert.equal(await key(answer(403, { code: "local_only" })), "localOnly");
  assert.equal(await key(answer(429, { code: "rate_limited", retry_after_ms: 9000 })), "limited");
  assert.equal(await key(new TypeError("Failed to fetch")), "unreachable");
  assert.ok(["needsKey", "wrongKey", "keyEnded", "keyScope"].every((name) => wantsKey(new Trouble(name))));
  assert.ok(!wantsKey(new Trouble("full")) && !wantsKey(null));
});

test("a server that knows no key, and one that does not know this key, are told apart", () => {
  const told = (key) => ringOf(key).ring.told(new Trouble("needsKey", { wait_ms: 0 }));
  assert.equal(told("").key, "needsKey");
  assert.deepEqual([told("k").key, told("k").wait_ms], ["wrongKey", 0]);
  assert.equal(ringOf("k").ring.told(null), null);
});

function streamed(protocols) {
  FakeSocket.made = [];
  const clock = new FakeClock();
  const stream = new Stream({ url: "ws://x", rate: 8000, socket: (url, offered) => Object.assign(new FakeSocket(url), { offered }), protocols, clock, random: () => 0.5 });
  const events = record(stream, "connection", "end");
  stream.open();
  return { clock, stream, events, ends: () => events.filter(([name]) => name === "end").map(([, detail]) => detail) };
}
const soon = () => new Promise(setImmediate);

test("a reconnect asks for a new token; one that is refused for a while is waited for, a key that ended is not", async () => {
  const { ring } = ringOf(
    "k",
    answer(201, { subprotocol: "token.1" }),
    answer(429, { code: "rate_limited", retry_after_ms: 4000 }),
    new TypeError("Failed to fetch"),
    answer(201, { subprotocol: "token.2" }),
    answer(401, { code: "authorisation_expired" }),
  );
  const { clock, events, ends } = streamed(() => ring.protocols());
  await soon();
  assert.deepEqual(FakeSocket.made[0].offered, ["voxproof.v1", "token.1"]);
  FakeSocket.made[0].ready();
  FakeSocket.made[0].drop();
  clock.pass(400);
  await soon();
  assert.equal(events.at(-1)[1].retry_in_ms, 4000);
  clock.pass(4000);
  await soon();
  assert.equal(events.at(-1)[1].state, "waiting");
  clock.pass(2000);
  await soon();
  assert.deepEqual(FakeSocket.made[1].offered, ["voxproof.v1", "token.2"]);
  FakeSocket.made[1].ready({ resume: { accepted: true, continue_from_ms: 0 } });
  FakeSocket.made[1].drop();
  clock.pass(400);
  await soon();
  assert.equal(ends()[0].trouble.key, "keyEnded");
  assert.equal(clock.pending, 0);
});

test("a limit of the caller is not a full server; a day's quota is not waited for", async () => {
  const refused = (code, retry_after_ms, before = () => {}) => {
    const { ends } = streamed(() => ["voxproof.v1"]);
    const [socket] = FakeSocket.made;
    socket.accept();
    before(socket);
    socket.say({ type: "error", seq: 0, code, message: "m", fatal: true, retry_after_ms }).drop(4429);
    return ends().map((end) => troubleOfEnd(end));
  };
  const [limited] = refused("rate_limited", 7000);
  assert.deepEqual([limited.key, limited.wait_ms], ["limited", 7000]);
  const [quota] = refused("quota_exceeded", 3_600_000);
  assert.deepEqual([quota.key, quota.wait_ms], ["quota", 3_600_000]);
  const [midway] = refused("quota_exceeded", 3_600_000, (socket) => socket.ready());
  assert.equal(midway.key, "quota");
  assert.deepEqual(refused("rate_limited", 7000, (socket) => socket.ready()), [], "a minute's limit in the middle is waited for");
});
