// The key, if this server wants one, turned into what a request carries: a header, or a short-lived token as a WebSocket subprotocol (a key never
// stands in an address). Used by listening.js, files.js.
// @ts-check

import { Trouble, troubleOfAnswer } from "../found/trouble.js";

const PROTOCOL = "voxproof.v1";
const NO_LIMITS = { max_upload_bytes: 0, max_audio_seconds: 0 };
/** Troubles that another key may end. */
const OF_KEYS = new Set(["needsKey", "wrongKey", "keyEnded", "keyScope"]);

/** @param {{key: string} | null | undefined} trouble */
export const wantsKey = (trouble) => OF_KEYS.has(trouble?.key ?? "");

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

  /** @returns {string[] | Promise<string[]>} the subprotocols to offer; rejects with a Trouble. A token is asked for anew each time: it opens one connection */
  protocols() {
    return this.settings.choices.key ? this.#withToken() : [PROTOCOL];
  }

  /** The server says the same to no key and to a wrong one; a person wants to know which. @template {Trouble | null} T @param {T} trouble @returns {T | Trouble} */
  told(trouble) {
    return trouble?.key === "needsKey" && this.settings.choices.key ? new Trouble("wrongKey", { wait_ms: trouble.wait_ms }) : trouble;
  }

  async #withToken() {
    const request = { method: "POST", headers: { ...this.headers(), "Content-Type": "application/json" }, body: '{"scopes":["stream"]}' };
    const answer = await this.ask(new URL("v1/tokens", this.base), request).catch(() => {
      throw new Trouble("unreachable", { wait_ms: 0 });
    });
    const content = await answer.json().catch(() => null);
    if (!answer.ok) throw this.told(troubleOfAnswer(answer.status, content, NO_LIMITS));
    return [PROTOCOL, content.subprotocol];
  }
}
