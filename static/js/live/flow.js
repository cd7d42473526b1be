// Back-pressure: whether more audio may be sent, by what the socket holds and by what the server has not judged yet. Audio that may not go waits in the backlog,
// where it is known and can be told; in the network's buffers nobody would see it. Pure. Used by stream.js.
// @ts-check

const LINE_MS = 2000; // audio in the socket's own buffer at which we hold back,
const LINE_FREE_MS = 500; // and at which we go on
const BUFFER_MS = 10_000; // of unjudged audio a server takes, if it does not say
const BUFFER_SHARE = 0.8; // how far it is filled
const LEAST_MS = 4000; // the first verdicts need some seconds, however little a server says it takes

export class Flow {
  /** @type {"" | "line" | "server"} what audio waits for */ held = "";
  most_ms = BUFFER_MS * BUFFER_SHARE;

  /** @param {number} [buffer_seconds] what the server says it takes unjudged */
  greet(buffer_seconds = BUFFER_MS / 1000) {
    this.held = "";
    this.most_ms = Math.max(LEAST_MS, buffer_seconds * 1000 * BUFFER_SHARE);
  }

  /**
   * @param {number} line_ms audio in the socket's buffer
   * @param {number} unjudged_ms audio sent that has no verdict yet
   * @returns {boolean} whether more may be sent
   */
  free(line_ms, unjudged_ms) {
    if (line_ms > (this.held === "line" ? LINE_FREE_MS : LINE_MS)) this.held = "line";
    else if (unjudged_ms > (this.held === "server" ? this.most_ms / 2 : this.most_ms)) this.held = "server";
    else this.held = "";
    return !this.held;
  }
}
