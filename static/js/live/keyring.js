// The key, if this server wants one, turned into what a request carries: a header, or a short-lived token as a WebSocket subprotocol (a key never
// stands in an address). Used by listening.js, files.js.
// @ts-check

import { Trouble, troubleOfAnswer } from "../found/trouble.js";

const PROTOCOL = "voxproof.v1";

export class Keyring {
  /** @param {import("../settings.js").Settings} settings @param {string} base the page's own address @param {typeof fetch} [ask] */
  constructor(settings, base, ask = (...request) => fetch(...request)) {
    this.settings = settings;
    this.base = base;
    this.ask = ask;
  }

  /** @returns {Record<string, string>} headers of a request that needs the key */
  headers() {
    const { key } = this.settings.choices;
    return key ? { Authorization: `Bearer ${key}` } : {};
  }

  /** @returns {string[] | Promise<string[]>} the subprotocols to offer; rejects with a Trouble */
  protocols() {
    return this.settings.choices.key ? this.#withToken() : [PROTOCOL];
  }

  async #withToken() {
    const answer = await this.ask(new URL("v1/tokens", this.base), { method: "POST", headers: { ...this.headers(), "Content-Type": "application/json" }, body: "{}" }).catch(() => {
      throw new Trouble("unreachable", { wait_ms: 0 });
    });
    const content = await answer.json().catch(() => null);
    if (!answer.ok) throw troubleOfAnswer(answer.status, content, { max_upload_bytes: 0, max_audio_seconds: 0 });
    return [PROTOCOL, content.subprotocol];
  }
}
