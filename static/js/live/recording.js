// What was recorded, as it was sent: s16 mono samples. Kept in Blobs, which a browser moves out of memory when they are many, and bounded: when it is full the
// oldest minute goes, and `lost` says how much went. Pauses are not in it: it has the time axis of the session. Used by listening.js; keep/ and files/ read it.
// @ts-check

const MOST_BYTES = 1 << 30; // three hours at 48 kHz
const PIECE_BYTES = 1 << 20; // eleven seconds at 48 kHz
const RIFF_BYTES = 2 ** 32 - 1; // a WAV file cannot say that it is longer
const HEAD_BYTES = 44;
const TYPE = { type: "audio/wav" };

export class Recording {
  /** @type {Blob[]} oldest first */ #pieces = [];
  /** @type {Int16Array[]} newer than all pieces */ #fresh = [];
  #freshBytes = 0;
  #keptBytes = 0;

  /** @param {number} rate @param {{most_bytes?: number, piece_bytes?: number}} [limits] */
  constructor(rate, { most_bytes = MOST_BYTES, piece_bytes = PIECE_BYTES } = {}) {
    this.rate = rate;
    this.most_bytes = Math.min(most_bytes, RIFF_BYTES - HEAD_BYTES - piece_bytes);
    this.piece_bytes = piece_bytes;
    /** samples taken in since the beginning */
    this.samples = 0;
    /** samples at the beginning that are no longer kept */
    this.lost = 0;
  }

  /** What is kept begins here on the recording's axis. */
  get from_ms() {
    return (this.lost * 1000) / this.rate;
  }

  get duration_ms() {
    return (this.samples * 1000) / this.rate;
  }

  /** @param {Int16Array} samples not changed by anybody afterwards */
  push(samples) {
    this.samples += samples.length;
    this.#fresh.push(samples);
    this.#freshBytes += samples.byteLength;
    if (this.#freshBytes < this.piece_bytes) return;
    this.#pieces.push(new Blob(/** @type {BlobPart[]} */ (this.#fresh)));
    this.#keptBytes += this.#freshBytes;
    this.#fresh = [];
    this.#freshBytes = 0;
    while (this.#keptBytes > this.most_bytes) {
      const { size } = /** @type {Blob} */ (this.#pieces.shift());
      this.#keptBytes -= size;
      this.lost += size / 2;
    }
  }

  /** The samples that are kept, as bytes. @returns {Blob} */
  pcm() {
    return new Blob(/** @type {BlobPart[]} */ ([...this.#pieces, ...this.#fresh]));
  }

  /** A WAV file of what is kept. @returns {Blob} */
  wav() {
    const pcm = this.pcm();
    return new Blob([wavHead(this.rate, pcm.size), pcm], TYPE);
  }
}

/**
 * The head of a WAV file of s16 mono samples.
 * @param {number} rate
 * @param {number} bytes of samples
 * @returns {ArrayBuffer}
 */
export function wavHead(rate, bytes) {
  const head = new DataView(new ArrayBuffer(HEAD_BYTES));
  const name = (/** @type {number} */ at, /** @type {string} */ text) => [...text].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  name(0, "RIFF");
  head.setUint32(4, Math.min(RIFF_BYTES, HEAD_BYTES - 8 + bytes), true);
  name(8, "WAVEfmt ");
  head.setUint32(16, 16, true); // bytes of the format
  head.setUint16(20, 1, true); // PCM
  head.setUint16(22, 1, true); // channels
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true); // bytes a second
  head.setUint16(32, 2, true); // bytes a frame
  head.setUint16(34, 16, true); // bits a sample
  name(36, "data");
  head.setUint32(40, Math.min(RIFF_BYTES, bytes), true);
  return head.buffer;
}
