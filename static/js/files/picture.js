// A file's sound -> check.sound, for the chart: read here in the browser, piece by piece, so that nothing freezes. Nothing is sent for it. Used by
// files.js.
//
// One file at a time, and only the one on show; the pictures of the last few are kept. `check.picture` says how it went.
// Channels: the picture is the mean of all channels, whatever the server judged apart; which channel a stretch belongs to, the strips under it say.
// @ts-check

import { Sound } from "../chart/sound.js";
import { readWav } from "./wav.js";

export const LONGEST_DECODED_MS = 20 * 60_000; // decodeAudioData gives all of it at once: 20 minutes of stereo are 400 MB while it works
export const BIGGEST_BYTES = 300 * 2 ** 20;
const FINE_MS = 5 * 60_000; // up to here at 48 kHz, above at the detector's own 16 kHz
const MOST_KEPT = 6; // pictures of files, of up to 20 MB each
const SLICE = 1 << 14;
const AT_ONCE_MS = 12; // of work before the page may draw and listen again
const SHOWN_EVERY_MS = 200;
const PROBE_MS = 4000;

/** @typedef {import("../check.js").Check} Check */

export class Pictures {
  /** @type {Check | null} */ wanted = null;
  /** @type {Check[]} the latest last */ kept = [];
  #reading = false;
  /** @type {WeakSet<Check>} whose length nobody can tell before the answer does */ #lengthless = new WeakSet();

  /** @param {import("../visit.js").Visit} visit */
  constructor(visit) {
    this.visit = visit;
    const look = () => this.want(visit.selected);
    visit.addEventListener("list", look);
    visit.addEventListener("change", look); // a file whose length nobody knew may have its answer now
  }

  /** @param {Check | null} check what is on show */
  want(check) {
    this.wanted = check?.file && check.phase !== "failed" ? check : null;
    if (this.#reading || this.wanted?.picture !== "" || (this.#lengthless.has(this.wanted) && !this.wanted.found.done)) return;
    void this.#read(this.wanted);
  }

  /** @param {Check} check */
  async #read(check) {
    this.#reading = true;
    check.picture = "reading";
    let how = await this.#picture(check).catch(() => /** @type {const} */ ("unreadable"));
    if (how !== "ready") check.sound = null;
    if (how === "" && check.phase === "result") how = "unreadable"; // its length is known by now, and it was asked again
    this.#reading = false;
    this.visit.changed(check, { picture: how });
    if (how === "ready") this.#keep(check);
    if (this.wanted !== check) this.want(this.wanted);
  }

  /** @param {Check} check @returns {Promise<"ready" | "long" | "">} "": not now */
  async #picture(check) {
    const file = /** @type {File} */ (check.file);
    if (file.size > BIGGEST_BYTES) return "long";
    const wav = await readWav(file);
    if (wav) return this.#draw(check, wav.rate, wav.pieces);
    const length_ms = check.found.done?.duration_ms ?? (await lengthOf(file));
    if (length_ms === null) {
      this.#lengthless.add(check); // the answer will tell; until then it is not asked again
      return "";
    }
    if (length_ms > LONGEST_DECODED_MS) return "long";
    const buffer = await decoder(length_ms > FINE_MS ? 16_000 : 48_000).decodeAudioData(await file.arrayBuffer());
    return this.#draw(check, buffer.sampleRate, mixed(buffer));
  }

  /** @param {Check} check @param {number} rate @param {AsyncIterable<Float32Array> | Iterable<Float32Array>} pieces @returns {Promise<"ready" | "">} */
  async #draw(check, rate, pieces) {
    const sound = new Sound(rate);
    check.sound = sound; // it grows before the eyes
    let since = performance.now();
    let shown = since;
    for await (const piece of pieces) {
      for (let at = 0; at < piece.length; at += SLICE) {
        sound.push(piece.subarray(at, at + SLICE));
        if (performance.now() - since < AT_ONCE_MS) continue;
        if (performance.now() - shown > SHOWN_EVERY_MS) {
          this.visit.changed(check);
          shown = performance.now();
        }
        await new Promise((resolve) => setTimeout(resolve));
        if (this.wanted !== check) return ""; // begun anew when it is on show again
        since = performance.now();
      }
    }
    return "ready";
  }

  /** @param {Check} check */
  #keep(check) {
    this.kept = [...this.kept.filter((one) => one !== check && this.visit.checks.includes(one)), check];
    for (const old of this.kept.splice(0, Math.max(0, this.kept.length - MOST_KEPT))) Object.assign(old, { sound: null, picture: "" });
  }
}

/** What decodes to this rate; older Safari knows no rate below 44.1 kHz. @param {number} rate */
function decoder(rate) {
  try {
    return new OfflineAudioContext(1, 1, rate);
  } catch {
    return new OfflineAudioContext(1, 1, 44_100);
  }
}

/** @param {AudioBuffer} buffer */
function* mixed(buffer) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, index) => buffer.getChannelData(index));
  for (let from = 0; from < buffer.length; from += SLICE) {
    const out = channels[0].slice(from, from + SLICE);
    if (channels.length === 1) yield out;
    else {
      for (let i = 0; i < out.length; i++) {
        let sum = 0;
        for (const channel of channels) sum += channel[from + i];
        out[i] = sum / channels.length;
      }
      yield out;
    }
  }
}

/**
 * The length as the browser's player reads it from the file's head; null where it cannot tell: an unknown format, a recording without a length, or a
 * browser that reads nothing before a click (iOS).
 * @param {File} file
 * @returns {Promise<number | null>}
 */
function lengthOf(file) {
  const url = URL.createObjectURL(file);
  const audio = new Audio();
  return new Promise((/** @type {(ms: number | null) => void} */ resolve) => {
    setTimeout(() => resolve(null), PROBE_MS);
    audio.addEventListener("loadedmetadata", () => resolve(Number.isFinite(audio.duration) ? audio.duration * 1000 : null));
    audio.addEventListener("error", () => resolve(null));
    audio.preload = "metadata";
    audio.src = url;
  }).finally(() => {
    audio.removeAttribute("src");
    audio.load();
    URL.revokeObjectURL(url);
  });
}
