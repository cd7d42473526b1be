// One WebSocket at a time to the server's address: asks for what proves who we are, dials, writes, hangs up. What a closed one means is for stream.js, who uses it.
// @ts-check

/**
 * @typedef {{send(data: string | ArrayBufferView<ArrayBuffer>): void, close(code?: number): void, bufferedAmount: number, binaryType: string,
 *   onopen: any, onmessage: any, onclose: any, onerror: any}} Socket
 * @typedef {{onOpen(): void, onMessage(data: any): void, onClosed(code: number): void, onRefused(trouble: any): void}} Ends
 *   `onRefused`: there is nothing to prove who we are; a Trouble says why
 */

export class Line {
  /** @type {Socket | null} */ #ws = null;
  #dialled = 0;
  wroteAt = 0;

  /**
   * @param {{url: string, socket: (url: string, protocols: string[]) => Socket, protocols: () => string[] | Promise<string[]>, now: () => number}} parts
   *   `protocols` is asked before every try: a token of the last one may have ended
   * @param {Ends} ends
   */
  constructor({ url, socket, protocols, now }, ends) {
    this.url = url;
    this.socket = socket;
    this.protocols = protocols;
    this.now = now;
    this.ends = ends;
  }

  /** Bytes that wait in the browser's own buffer. */
  get waiting() {
    return this.#ws?.bufferedAmount ?? 0;
  }

  dial() {
    const attempt = ++this.#dialled;
    const offered = this.protocols();
    if (!(offered instanceof Promise)) return this.#open(offered);
    offered.then(
      (protocols) => attempt === this.#dialled && this.#open(protocols),
      (trouble) => attempt === this.#dialled && this.ends.onRefused(trouble),
    );
  }

  /** @param {string | ArrayBufferView<ArrayBuffer>} data */
  write(data) {
    this.#ws?.send(data);
    this.wroteAt = this.now();
  }

  /** Whatever comes of the present socket, or of the try to have one, is of no more interest. @param {number} [code] */
  hangUp(code) {
    this.#dialled++;
    const ws = this.#ws;
    this.#ws = null;
    ws?.close(code);
  }

  /** @param {string[]} protocols */
  #open(protocols) {
    const ws = (this.#ws = this.socket(this.url, protocols));
    ws.binaryType = "arraybuffer";
    ws.onopen = () => ws === this.#ws && this.ends.onOpen();
    ws.onmessage = (/** @type {{data: any}} */ event) => ws === this.#ws && this.ends.onMessage(event.data);
    ws.onclose = (/** @type {{code: number}} */ event) => {
      if (ws !== this.#ws) return;
      this.#ws = null;
      this.ends.onClosed(event.code);
    };
  }
}
