// How far a session has come, in samples on the recording's axis: sent, received by the server, scored. Pure. Used by stream.js.
// @ts-check

const OWED_MS = 1100; // the server acknowledges each whole second

export class Progress {
  /** where the server's session begins: 0 unless it had to start anew */ base = 0;
  sent = 0;
  /** what the server has said it received */ acked = 0;
  /** everything before it is scored */ processed = 0;

  /** @param {number} rate */
  constructor(rate) {
    this.rate = rate;
  }

  /** Another session goes on from there. @param {number} from */
  anew(from) {
    this.base = this.sent = this.acked = from;
  }

  /** The server asks to go on from there. @param {number} ms of its session */
  resumed(ms) {
    this.sent = this.base + this.samples(ms);
  }

  /** @param {any} message an `ack`, or a `segment`: what lies before its end has its verdict, but may have to be sent again after a crash */
  heard({ type, end_ms = 0, received_ms = 0, processed_ms = end_ms }) {
    if (type === "ack") this.acked = Math.max(this.acked, this.base + this.samples(received_ms));
    this.processed = Math.max(this.processed, this.base + this.samples(processed_ms));
  }

  /** What need never be sent again, after this `ack`. @param {any} message */
  settled({ processed_ms }) {
    return Math.min(this.sent, this.base + this.samples(processed_ms));
  }

  /** Whether the server has had so much audio since its last acknowledgement that the next one is due. */
  get owed() {
    return this.ms(this.sent - this.acked) > OWED_MS;
  }

  get unjudged_ms() {
    return this.ms(this.sent - this.processed);
  }

  /** @param {number} ms */
  samples(ms) {
    return Math.floor((ms * this.rate) / 1000);
  }

  /** @param {number} samples */
  ms(samples) {
    return Math.floor((samples * 1000) / this.rate);
  }
}
