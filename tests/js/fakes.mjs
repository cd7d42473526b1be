// A clock that moves when told, and a socket that remembers what it was sent. Used by the tests of stream.js.

export class FakeClock {
  time = 0;
  #due = new Map();
  #next = 1;
  now = () => this.time;
  setTimeout = (act, ms) => {
    this.#due.set(this.#next, { at: this.time + ms, act });
    return this.#next++;
  };
  clearTimeout = (id) => this.#due.delete(id);

  /** Moves on by `ms`, running what falls due, in order. */
  pass(ms) {
    const end = this.time + ms;
    for (;;) {
      const [id, next] = [...this.#due].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0] ?? [];
      if (!next) break;
      this.#due.delete(id);
      this.time = Math.max(this.time, next.at);
      next.act();
    }
    this.time = end;
  }

  get pending() {
    return this.#due.size;
  }
}

export class FakeSocket {
  static made = [];
  sent = [];
  bufferedAmount = 0;
  closed = null;

  constructor(url) {
    this.url = url;
    FakeSocket.made.push(this);
  }

  send(data) {
    if (this.closed !== null) throw new Error("sent on a closed socket");
    this.sent.push(typeof data === "string" ? JSON.parse(data) : data);
  }

  close(code = 1005) {
    this.closed = code;
  }

  // --- the server's side ---------------------------------------------------------------------------------

  accept() {
    this.onopen();
    return this;
  }

  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
    return this;
  }

  ready(more = {}) {
    return this.accept().say({ type: "ready", seq: 1, session_id: "s1", resume_token: "t1", limits: { max_frame_bytes: 1 << 20, max_buffer_seconds: 1000 }, model: {}, config: {}, ...more });
  }

  drop(code = 1006) {
    this.closed = code;
    this.onclose({ code });
  }

  get start() {
    return this.sent[0];
  }

  get texts() {
    return this.sent.filter((data) => !(data instanceof Int16Array));
  }

  /** All audio sent, as one list. */
  get audio() {
    return this.sent.filter((data) => data instanceof Int16Array).flatMap((data) => [...data]);
  }
}

/** Samples `from`..`to` of a ramp, so that every position is recognised. */
export function ramp(from, to) {
  return Int16Array.from({ length: to - from }, (_, i) => ((from + i) % 30000) + 1);
}

/** Gathers the named events of a target: [[name, detail], ...]. */
export function record(target, ...names) {
  const out = [];
  for (const name of names) target.addEventListener(name, (event) => out.push([name, event.detail]));
  return out;
}
