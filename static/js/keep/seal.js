// The hashes of one check's audio, ours and the server's, and whether they are the same. Begun when a check is over; `tell` is called when something is new.
// No DOM; hashing and asking are given. Used by keep.js, evidence.js.
//
// A file: SHA-256 of its bytes here, and of the bytes the server got, which its answer carries. A recording: of the WAV we offer, and of the samples in it, which
// is what the server hashes too; it is asked with GET /v1/sessions/{id}. Where both cannot be compared, `why` says the reason, never more than is known.
// @ts-check

/**
 * @typedef {"none" | "hashing" | "done" | "failed"} State
 * @typedef {"same" | "different" | "unsent" | "trimmed" | "restarted" | "parts" | "noRecord" | "noKey" | "unreachable" | "unfinished" | "unread"} Why
 *   same, different: compared. Others, why not or why they differ: some sound was never sent; the beginning is no longer kept here; the server began anew;
 *   several servers each heard a part; the server keeps no record (any more); it wants another key; it does not answer; there is no final result; the file
 *   can no longer be read
 * @typedef {{sha256: string | null, parts: {start_ms: number, end_ms: number, sha256: string}[]}} Heard
 */

const AGAIN_MS = 700;
const TRIES = 3;

export class Seal {
  /** @type {State} */ state = "none";
  /** 0..1 of the hashing */
  part = 0;
  /** @type {string | null} of the file, or of the WAV */
  sha256 = null;
  bytes = 0;
  /** @type {string | null} of a recording's samples alone */
  samples_sha256 = null;
  /** @type {Heard | null} as the server has it */
  server = null;
  /** @type {boolean | null} null: not comparable */
  agrees = null;
  /** @type {Why | null} null: not known yet */
  why = null;

  /**
   * @param {{check: import("../check.js").Check, keeps_records: boolean, hashes: (blob: Blob, starts: number[], told: (part: number) => void) => Promise<string[]>,
   *   ask: (session_id: string) => Promise<{status: number, content: any}>, tell: () => void, pause?: (ms: number) => Promise<void>}} options
   */
  constructor({ check, keeps_records, hashes, ask, tell, pause = (ms) => new Promise((go) => setTimeout(go, ms)) }) {
    this.check = check;
    this.keeps_records = keeps_records;
    this.hashes = hashes;
    this.ask = ask;
    this.tell = tell;
    this.pause = pause;
  }

  /** Once; resolves when everything is known that can be. */
  async begin() {
    const { check } = this;
    const blob = check.file ?? (check.recording?.samples ? check.recording.wav() : null);
    if (this.state !== "none" || !blob) return;
    this.state = "hashing";
    this.tell();
    const told = (/** @type {number} */ part) => {
      this.part = part;
      this.tell();
    };
    try {
      const starts = check.file ? [0] : [0, await samplesAt(blob)];
      const [heard, hashes] = await Promise.all([this.#heard(), this.hashes(blob, starts, told)]);
      this.bytes = blob.size;
      [this.sha256, this.samples_sha256 = null] = hashes;
      this.server = heard;
      this.#compare();
      this.state = "done";
    } catch {
      this.state = "failed";
      this.why = "unread";
    }
    this.tell();
  }

  /** @returns {Promise<Heard | null>} */
  async #heard() {
    const { found, file } = this.check;
    if (!found.done) return this.#not("unfinished");
    if (file) return found.done.sha256 ? { sha256: found.done.sha256, parts: [] } : this.#not("noRecord");
    if (found.kept.sessions.length > 1 || found.done.from_ms) return this.#not("restarted");
    if (!this.keeps_records) return this.#not("noRecord");
    for (let tries = 1; ; tries++) {
      const { status, content } = await this.ask(found.kept.sessions[0]?.session_id ?? found.done.session_id);
      if (status === 200 && content?.state === "running" && tries < TRIES) await this.pause(AGAIN_MS); // its last word is being written
      else if (status === 200) return { sha256: content?.audio?.sha256 ?? null, parts: content?.audio?.parts ?? [] };
      else return this.#not(status === 401 || status === 403 ? "noKey" : status === 404 ? "noRecord" : "unreachable");
    }
  }

  /** @param {Why} why */
  #not(why) {
    this.why = why;
    return null;
  }

  #compare() {
    const { server, check } = this;
    if (!server) return;
    if (!server.sha256) this.why = server.parts.length ? "parts" : "noRecord";
    else if (check.file) this.#settle(server.sha256 === this.sha256);
    else if (check.recording?.lost) this.why = "trimmed";
    else this.#settle(server.sha256 === this.samples_sha256);
  }

  /** @param {boolean} same */
  #settle(same) {
    this.agrees = same;
    const unsent = this.check.found.marks.some(({ kind }) => kind === "dropped");
    this.why = same ? "same" : unsent ? "unsent" : "different";
  }
}

/**
 * Where the samples of a WAV begin: behind the head of its `data` chunk.
 * @param {Blob} wav
 */
export async function samplesAt(wav) {
  const head = new DataView(await wav.slice(0, 4096).arrayBuffer());
  const name = (/** @type {number} */ at) => String.fromCharCode(head.getUint8(at), head.getUint8(at + 1), head.getUint8(at + 2), head.getUint8(at + 3));
  for (let at = 12; at + 8 <= head.byteLength; at += 8 + head.getUint32(at + 4, true)) if (name(at) === "data") return at + 8;
  throw new Error("no WAV");
}
