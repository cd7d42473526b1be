// Wires the page: buttons, drop and clock on one side; live.js, upload.js, view.js and plot.js on the other. Loaded by templates/index.html.
// The whole state is one object; every change asks for one redraw at the next frame.
// @ts-check

import { Live } from "./live.js";
import { Meter } from "./meter.js";
import { buttonsOf, panelOf } from "./panel.js";
import { Plot } from "./plot.js";
import { Trouble } from "./trouble.js";
import { Upload } from "./upload.js";
import { findingsOfFile } from "./verdict.js";
import { View } from "./view.js";
import { words } from "./words.js";

const facts = JSON.parse(document.documentElement.dataset.facts ?? "{}");
const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const picker = /** @type {HTMLInputElement} */ (element("picker"));

const view = new View(words);
const plot = new Plot(/** @type {HTMLCanvasElement} */ (element("plot")), words);
const bar = /** @type {HTMLElement} */ (document.querySelector("#meter .bar"));
const peak = /** @type {HTMLElement} */ (document.querySelector("#meter .peak"));
const meter = new Meter({ root: element("meter"), bar, peak, value: element("level") }, words.level);

/** @type {import("./panel.js").State} */
const state = { phase: "idle", found: null, trouble: null, status: null, captured_ms: 0, progress: 0, source: words.source.none, wait_s: 0 };
/** @type {Live | null} */
let live = null;
/** @type {Upload | null} */
let upload = null;
/** @type {() => void} */
let again = listen; // what "try again" does
let waitUntil = 0;
let dirty = false;

function redraw() {
  if (dirty) return;
  dirty = true;
  // A hidden page gets no frames; its state is drawn when it is seen again.
  requestAnimationFrame(() => {
    dirty = false;
    draw();
  });
}

function draw() {
  state.wait_s = Math.max(0, Math.ceil((waitUntil - performance.now()) / 1000));
  view.show(state);
  const running = live !== null;
  const band = facts.points[state.found?.config?.profile ?? facts.default_point];
  const now_ms = running ? Math.max(state.captured_ms, state.found?.received_ms ?? 0) : (state.found?.received_ms ?? 0);
  plot.show({ found: state.found, now_ms, live: running, band });
  view.describePlot(state.found ? words.plot.label(panelOf(state, words).title, state.found.received_ms) : words.plot.empty);
}

/** @param {Partial<typeof state>} changes */
function set(changes) {
  Object.assign(state, changes);
  redraw();
}

// --- listening ---------------------------------------------------------------------------------------------

function listen() {
  again = listen;
  const url = new URL("v1/stream", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const session = (live = new Live({ url: url.href }));
  set({ phase: "asking", found: session.found, trouble: null, status: null, captured_ms: 0, source: words.source.none });
  session.addEventListener("levels", (event) => {
    meter.hear(/** @type {CustomEvent} */ (event).detail);
    set({ captured_ms: session.captured_ms });
  });
  session.addEventListener("change", () => {
    if (session.phase === "over") return;
    const { phase, status, microphone } = session;
    if (status?.retry_in_ms !== undefined) waitUntil = status.at + status.retry_in_ms;
    if (phase === "connecting" && microphone) started(session);
    set({ phase, status });
  });
  session.addEventListener("end", (event) => ended(session, /** @type {CustomEvent} */ (event).detail.trouble));
  void session.start();
}

/** @param {Live} session */
function started({ microphone, found }) {
  if (!microphone || state.source !== words.source.none) return;
  state.source = words.source.named(microphone.label, microphone.rate);
  const names = microphone.altered.map((name) => /** @type {any} */ (words.processing)[name]);
  if (names.length) found.note({ kind: "altered", message: names.join(", ") });
}

/** @param {Live} session @param {Trouble | null} trouble */
function ended(session, trouble) {
  live = null;
  meter.rest();
  const { found } = session;
  if (found.done) {
    if (trouble) found.note({ kind: "error", code: trouble.key });
    return set({ phase: "result", found, trouble: null, status: null });
  }
  if (!trouble) return set({ phase: "idle", found: null, status: null, source: words.source.none });
  fail(trouble, found.windows ? found : null);
}

/** @param {Trouble} trouble @param {import("./verdict.js").Findings | null} found */
function fail(trouble, found) {
  if (trouble.key === "aborted") return set({ phase: "idle", found: null, trouble: null, status: null, source: words.source.none });
  waitUntil = performance.now() + (trouble.wait_ms ?? 0);
  set({ phase: "failed", trouble, found, status: null });
}

// --- a file ------------------------------------------------------------------------------------------------

/** @param {File} file */
async function check(file) {
  if (live || upload) return;
  again = () => void check(file);
  const sending = (upload = new Upload({
    url: new URL("v1/detect", document.baseURI).href,
    limits: facts,
    onProgress: (progress) => set(progress < 1 ? { phase: "uploading", progress } : { phase: "checking", progress }),
  }));
  set({ phase: "uploading", found: null, trouble: null, status: null, progress: 0, source: words.file.chosen(file.name, file.size) });
  try {
    const found = findingsOfFile(await sending.send(file));
    upload = null;
    set({ phase: "result", found });
  } catch (error) {
    upload = null;
    fail(error instanceof Trouble ? error : new Trouble("other", { fact: String(error) }), null);
  }
}

// --- the person --------------------------------------------------------------------------------------------

view.primary.addEventListener("click", () => {
  const { act } = buttonsOf(state, words);
  if (act === "start") listen();
  else if (act === "retry") again();
  else if (act === "stop") void live?.stop();
  else {
    live?.cancel();
    upload?.cancel();
  }
});
view.secondary.addEventListener("click", () => picker.click());
picker.addEventListener("change", () => {
  const file = picker.files?.[0];
  picker.value = ""; // the same file may be chosen again
  if (file) void check(file);
});

const carriesFile = (/** @type {DragEvent} */ event) => !live && !upload && event.dataTransfer?.types.includes("Files");
window.addEventListener("dragover", (event) => {
  if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); // or the browser would leave the page for the file
  element("drop").hidden = !carriesFile(event);
});
window.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) element("drop").hidden = true;
});
window.addEventListener("drop", (event) => {
  event.preventDefault();
  element("drop").hidden = true;
  const file = event.dataTransfer?.files[0];
  if (file && carriesFile(event)) void check(file);
});

window.addEventListener("online", () => live?.stream?.retryNow());
window.addEventListener("pagehide", () => live?.cancel());
setInterval(() => {
  if (state.phase === "failed" || state.status) redraw(); // countdowns
}, 250);

view.model(facts.model);
if (!window.isSecureContext) fail(new Trouble("insecure", { fact: location.port && `:${location.port}` }), null);
draw();
