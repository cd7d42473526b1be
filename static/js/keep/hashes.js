// A Blob of any size -> SHA-256 of it, and of its tails from given bytes on, in one reading, a slice at a time. `inWorker` does it off the page's thread; where
// no worker starts (Firefox before 114 knows no module workers) the same is done here, slice by slice, so that the page stays usable. Used by seal.js.
// @ts-check

import { Sha256 } from "./sha256.js";

const SLICE_BYTES = 1 << 20; // about 10 ms of hashing: less than a frame
const PAUSE_MS = 0;

/** @typedef {(part: number) => void} Told 0..1 of it is done */

/**
 * @param {Blob} blob
 * @param {number[]} starts where each hash begins; one that lies behind the end is the hash of nothing
 * @param {{told?: Told, slice_bytes?: number, pause?: () => Promise<void>}} [options]
 * @returns {Promise<string[]>} hexadecimal; rejects when the blob cannot be read any more (the file was changed or taken away)
 */
export async function hashesOf(blob, starts, { told = () => {}, slice_bytes = SLICE_BYTES, pause = async () => {} } = {}) {
  const hashes = starts.map(() => new Sha256());
  for (let at = 0; at < blob.size; at += slice_bytes) {
    const bytes = new Uint8Array(await blob.slice(at, at + slice_bytes).arrayBuffer());
    hashes.forEach((hash, i) => {
      const from = Math.max(0, starts[i] - at);
      if (from < bytes.length) hash.update(from ? bytes.subarray(from) : bytes);
    });
    told(Math.min(1, (at + bytes.length) / blob.size));
    await pause();
  }
  return hashes.map((hash) => hash.hex());
}

/**
 * As `hashesOf`, in a thread of its own.
 * @param {Blob} blob @param {number[]} starts @param {Told} told
 * @returns {Promise<string[]>}
 */
export function inWorker(blob, starts, told) {
  const here = () => hashesOf(blob, starts, { told, pause: () => new Promise((go) => setTimeout(go, PAUSE_MS)) });
  if (typeof Worker === "undefined") return here();
  return new Promise((resolve, reject) => {
    /** @type {Worker} */
    let worker;
    try {
      worker = new Worker(new URL("./hasher.js", import.meta.url), { type: "module" });
    } catch {
      return void here().then(resolve, reject);
    }
    const end = () => worker.terminate();
    worker.onmessage = ({ data }) => {
      if (data.part !== undefined) return told(data.part);
      end();
      if (data.hashes) resolve(data.hashes);
      else reject(new Error(data.error));
    };
    worker.onerror = (event) => {
      event.preventDefault(); // it is not the page's error: the work is done here instead
      end();
      here().then(resolve, reject);
    };
    worker.postMessage({ blob, starts });
  });
}
