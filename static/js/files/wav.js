// Plain WAV, read piece by piece: its samples at its own rate, mixed to mono, without ever holding the whole file. Hours of a call recorder's output are
// drawn so, which decodeAudioData would turn into gigabytes. Everything else in a WAV (ADPCM, µ-law, GSM) is for the browser's decoder. Used by picture.js.
// @ts-check

const HEAD_BYTES = 64 << 10; // where the `data` chunk must begin
const PIECE_FRAMES = 1 << 18;
const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

/** @typedef {{rate: number, channels: number, bits: number, float: boolean, from: number, to: number}} Layout `from`..`to`: the samples' bytes in the file */

/**
 * @param {ArrayBuffer} head the first bytes
 * @param {number} size of the whole file
 * @returns {Layout | null} null: not a WAV of plain samples
 */
export function layoutOf(head, size) {
  const view = new DataView(head);
  const name = (/** @type {number} */ at) => String.fromCharCode(...new Uint8Array(head, at, 4));
  if (head.byteLength < 12 || name(0) !== "RIFF" || name(8) !== "WAVE") return null;
  /** @type {Omit<Layout, "from" | "to"> | null} */
  let format = null;
  for (let at = 12; at + 8 <= head.byteLength; ) {
    const length = view.getUint32(at + 4, true);
    if (name(at) === "fmt " && at + 24 <= head.byteLength) {
      let kind = view.getUint16(at + 8, true);
      if (kind === EXTENSIBLE && length >= 26 && at + 34 <= head.byteLength) kind = view.getUint16(at + 32, true);
      format = { channels: view.getUint16(at + 10, true), rate: view.getUint32(at + 12, true), bits: view.getUint16(at + 22, true), float: kind === FLOAT };
      const known = kind === FLOAT ? format.bits === 32 : kind === PCM && [8, 16, 24, 32].includes(format.bits);
      if (!known || !format.channels || format.channels > 32 || format.rate < 1000 || format.rate > 1_000_000) return null;
    }
    if (name(at) === "data") {
      if (!format) return null;
      // A recorder that was switched off, or one that writes as it goes, leaves 0 or too much here: then it is the rest of the file.
      const to = length && at + 8 + length <= size ? at + 8 + length : size;
      return { ...format, from: at + 8, to };
    }
    at += 8 + length + (length & 1);
  }
  return null;
}

/**
 * Samples of all channels -> their mean.
 * @param {ArrayBuffer} bytes whole frames
 * @param {Layout} layout
 */
export function mono(bytes, { channels, bits, float }) {
  const view = new DataView(bytes);
  const step = bits / 8;
  const frames = Math.floor(bytes.byteLength / (step * channels));
  const out = new Float32Array(frames);
  /** @type {(at: number) => number} */
  const sample = float
    ? (at) => view.getFloat32(at, true)
    : bits === 16
      ? (at) => view.getInt16(at, true) / 32768
      : bits === 8
        ? (at) => (view.getUint8(at) - 128) / 128
        : bits === 24
          ? (at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 8_388_608
          : (at) => view.getInt32(at, true) / 2_147_483_648;
  for (let frame = 0, at = 0; frame < frames; frame++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++, at += step) sum += sample(at);
    out[frame] = Number.isFinite(sum) ? sum / channels : 0;
  }
  return out;
}

/**
 * @param {Blob} file
 * @returns {Promise<{rate: number, pieces: AsyncGenerator<Float32Array>} | null>}
 */
export async function readWav(file) {
  const layout = layoutOf(await file.slice(0, HEAD_BYTES).arrayBuffer(), file.size);
  if (!layout) return null;
  const piece_bytes = ((PIECE_FRAMES / layout.channels) | 0) * layout.channels * (layout.bits / 8);
  return {
    rate: layout.rate,
    pieces: (async function* () {
      for (let at = layout.from; at < layout.to; at += piece_bytes) yield mono(await file.slice(at, Math.min(layout.to, at + piece_bytes)).arrayBuffer(), layout);
    })(),
  };
}
