// The worker that hashes: {blob, starts} in; {part} while it goes on and {hashes} or {error} at last out. Started by hashes.js, one for each blob.
// @ts-check

import { hashesOf } from "./hashes.js";

const STEP = 0.01; // of the blob: how often it says how far it is
const port = /** @type {{onmessage: any, postMessage(data: unknown): void}} */ (/** @type {unknown} */ (self));

port.onmessage = async (/** @type {{data: {blob: Blob, starts: number[]}}} */ { data }) => {
  let last = 0;
  const told = (/** @type {number} */ part) => {
    if (part - last < STEP) return;
    last = part;
    port.postMessage({ part });
  };
  try {
    port.postMessage({ hashes: await hashesOf(data.blob, data.starts, { told, slice_bytes: 4 << 20 }) });
  } catch (error) {
    port.postMessage({ error: String(error) });
  }
};
