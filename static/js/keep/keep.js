// Takes the check on show away: a report to print, JSON, CSV, the recording as WAV, a snippet that repeats it; and shows the hash of its audio. Used by page.js.
//
// Everything is made here, of what the page knows; the server is asked one thing, the hash of a recording as it received it (seal.js).
// @ts-check

import { csvOf } from "./csv.js";
import { evidenceOf, jsonOf } from "./evidence.js";
import { inWorker } from "./hashes.js";
import { fileName, plainAddress } from "./names.js";
import { Repeat } from "./repeat.js";
import { reportOf } from "./report.js";
import { dataUrl, save } from "./save.js";
import { Seal } from "./seal.js";
import { at as element, put } from "../view/dom.js";

const PICTURE_PX = 860; // as on a screen, so that its words can be read on 180 mm of paper; it has twice as many dots
const CLOSE_UPS = 3;
const LONG_MS = 60_000; // a picture of more than this hides what is short
const AROUND_MS = 4000;
const CLOSE_UP_MS = 40_000;
const DRAWN_MS = 30_000; // a browser that does not finish a file's picture is not waited for longer
const KINDS = /** @type {const} */ (["report", "json", "csv", "wav"]);

/** @typedef {import("../check.js").Check} Check */

const at = (/** @type {string} */ id) => element(`keep-${id}`);
const button = (/** @type {string} */ id) => /** @type {HTMLButtonElement} */ (at(id));

export class Keep {
  /** @type {WeakMap<Check, Seal>} */ #seals = new WeakMap();
  #said = ""; // what was saved last
  /** @type {Check | null} the check it was of */ #saidOf = null;

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.repeat = new Repeat(page);
    for (const kind of KINDS) button(kind).addEventListener("click", () => void this.#give(kind));
    page.visit.addEventListener("list", () => this.draw());
    page.visit.addEventListener("change", (event) => {
      if (/** @type {CustomEvent} */ (event).detail.check === page.visit.selected) this.draw();
    });
    page.settings.addEventListener("change", () => this.draw());
    this.draw();
  }

  /** The hashes of a check. @param {Check} check */
  seal(check) {
    let seal = this.#seals.get(check);
    if (!seal) {
      const tell = () => check === this.page.visit.selected && this.draw();
      seal = new Seal({ check, keeps_records: this.page.facts.keeps_records, hashes: inWorker, ask: (id) => this.#ask(id), tell });
      this.#seals.set(check, seal);
    }
    return seal;
  }

  draw() {
    const check = this.page.visit.selected;
    const { keep } = this.page.words;
    const can = abilities(check);
    put(at("hint"), !can.json && !can.wav ? keep.nothing : check?.running ? keep.running : keep.ready);
    for (const kind of KINDS) {
      button(kind).disabled = !can[kind];
      if (button(kind).title !== keep[`${kind}Hint`]) button(kind).title = keep[`${kind}Hint`];
    }
    button("wav").hidden = check?.kind === "file";
    put(at("saved"), this.#saidOf === check ? this.#said : "");
    this.#hash(check);
    this.repeat.draw(this.#wanted(check));
  }

  /** @param {Check | null} check */
  #hash(check) {
    const { keep } = this.page.words;
    const live = check?.kind !== "file";
    put(at("hash-name"), keep.hash[live ? "recording" : "file"]);
    const over = check !== null && !check.running && (abilities(check).json || abilities(check).wav);
    const seal = over ? this.seal(check) : null;
    if (seal?.state === "none") queueMicrotask(() => void seal.begin());
    const waiting = seal?.state === "hashing" ? keep.hashing(seal.part) : over ? "" : check?.phase === "failed" ? this.page.words.none : keep.noHash;
    put(at("sha"), seal?.sha256 ?? waiting);
    at("sha").classList.toggle("waiting", !seal?.sha256);
    put(at("agrees"), seal?.why && seal.state !== "hashing" ? keep.agrees[seal.why] : "");
    at("agrees").dataset.same = String(seal?.state === "done" ? seal.agrees : null);
  }

  /** @param {"report" | "json" | "csv" | "wav"} kind */
  async #give(kind) {
    const check = this.page.visit.selected;
    const pressed = button(kind);
    if (!check || pressed.getAttribute("aria-busy") === "true") return;
    const { keep } = this.page.words;
    pressed.setAttribute("aria-busy", "true");
    this.#say(check, keep.making);
    try {
      const [blob, name] = await this.#made(kind, check);
      save(blob, name);
      this.#say(check, keep.saved(name));
    } catch (error) {
      console.warn(error);
      this.#say(check, keep.failed);
    } finally {
      pressed.removeAttribute("aria-busy");
    }
  }

  /** @param {"report" | "json" | "csv" | "wav"} kind @param {Check} check @returns {Promise<[Blob, string]>} */
  async #made(kind, check) {
    const named = (/** @type {string} */ ending) => fileName(this.#name(check), check.started_at, ending);
    if (kind === "wav") return [/** @type {import("../live/recording.js").Recording} */ (check.recording).wav(), named("wav")];
    const seal = this.seal(check);
    if (!check.running) await settled(seal);
    if (kind === "report") await drawn(check);
    const { facts, base } = this.page;
    const words = { ...this.page.words }; // one language all through, whatever is chosen meanwhile
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const evidence = evidenceOf({ check, facts, words, seal, address: base, zone, browser: navigator.userAgent });
    if (kind === "json") return [new Blob([jsonOf(evidence)], { type: "application/json" }), named("json")];
    if (kind === "csv") return [new Blob([csvOf(evidence)], { type: "text/csv;charset=utf-8" }), named("csv")];
    const pictures = await this.#pictures(check);
    const text = reportOf(evidence, { words, pictures, audio_name: check.file?.name ?? named("wav") });
    return [new Blob([text], { type: "text/html;charset=utf-8" }), named("html")];
  }

  /** Of all of it; of a long one also of its longest suspicious stretches. @param {Check} check @returns {Promise<import("./report.js").Picture[]>} */
  async #pictures(check) {
    const { found } = check;
    const to = found.received_ms;
    const stretches = [{ from_ms: 0, to_ms: to }];
    if (to > LONG_MS) {
      const longest = [...(found.done?.spoof_ranges ?? [])].sort((a, b) => b.end_ms - b.start_ms - (a.end_ms - a.start_ms)).slice(0, CLOSE_UPS);
      for (const { start_ms, end_ms } of longest.sort((a, b) => a.start_ms - b.start_ms)) {
        const from_ms = Math.max(0, start_ms - AROUND_MS);
        stretches.push({ from_ms, to_ms: Math.min(to, end_ms + AROUND_MS, from_ms + CLOSE_UP_MS) });
      }
    }
    const out = [];
    for (const stretch of stretches) out.push({ url: await dataUrl(await this.#picture(check, stretch)), ...stretch });
    return out;
  }

  /** Of this check: by now another may be on show. @param {Check} check @param {{from_ms: number, to_ms: number}} stretch @returns {Promise<Blob>} */
  #picture(check, stretch) {
    return this.page.chart.picture({ check, width: PICTURE_PX, ...stretch, dark: false });
  }

  /** @param {Check | null} check @returns {import("./snippet.js").Wanted} */
  #wanted(check) {
    const { settings, facts } = this.page;
    const base = new URL(".", plainAddress(this.page.base)).href;
    const rest = { profile: check?.found.config?.profile ?? check?.profile ?? settings.choices.profile, base, keyed: settings.choices.key !== "" };
    if (!check || check.kind === "file") return { kind: "file", name: check?.file?.name ?? "call.wav", fits: true, ...rest };
    const { rate = 48000, samples = 0 } = check.recording ?? {};
    // Half a second to spare: the length stands still only when it is over, and so does the name.
    const fits = samples / rate < facts.max_audio_seconds - 0.5 && 2 * samples + 44 < facts.max_upload_bytes;
    return { kind: "live", name: fileName(this.#name(check), check.started_at, "wav"), rate, fits, ...rest };
  }

  /** @param {Check} check */
  #name(check) {
    return check.file?.name ?? this.page.words.keep.recording;
  }

  /** @param {Check} check @param {string} text */
  #say(check, text) {
    this.#said = text;
    this.#saidOf = check;
    this.draw();
  }

  /** @param {string} session_id */
  async #ask(session_id) {
    try {
      const answer = await fetch(new URL(`v1/sessions/${encodeURIComponent(session_id)}`, this.page.base), { headers: this.page.keyring.headers(), cache: "no-store" });
      return { status: answer.status, content: await answer.json().catch(() => null) };
    } catch {
      return { status: 0, content: null };
    }
  }
}

/** What can be made of a check. @param {Check | null} check */
function abilities(check) {
  const known = check !== null && (check.found.windows > 0 || check.found.done !== null);
  return { report: known && !check.running, json: known, csv: known, wav: check?.kind === "live" && (check.recording?.samples ?? 0) > 0 };
}

/** @param {Seal} seal */
async function settled(seal) {
  await seal.begin();
  while (seal.state === "hashing") await new Promise((go) => setTimeout(go, 50)); // begun before, by the drawing
}

/** Until the picture of a file's sound is whole, or will not come: half of one in a report would look like half the sound. @param {Check} check */
async function drawn(check) {
  for (let tries = 0; check.picture === "reading" && tries < DRAWN_MS / 50; tries++) await new Promise((go) => setTimeout(go, 50));
}
