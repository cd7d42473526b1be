// One file -> POST /v1/detect, with progress; the answer, or a Trouble in its place. Used by files.js.
// @ts-check

import { Trouble, troubleOfAnswer } from "../found/trouble.js";

const STALLED_MS = 30_000; // nothing more could be sent for so long: the line is dead, whatever the browser believes
/** Kinds of file that certainly are no sound, by what the browser calls them. Everything else is for the server to judge. */
const NO_SOUND = /^(image|text|font)\/|^application\/(pdf|zip|json|xml|gzip|msword|vnd\.(ms-|openxmlformats|oasis))/;

/**
 * @typedef {{max_upload_bytes: number, max_audio_seconds: number}} Limits
 */

/**
 * What is wrong with a file before a byte is sent.
 * @param {{size: number, type?: string}} file
 * @param {Limits} limits
 * @returns {Trouble | null}
 */
export function refusal({ size, type = "" }, limits) {
  if (!size) return new Trouble("empty");
  if (NO_SOUND.test(type)) return new Trouble("notAudio");
  if (size > limits.max_upload_bytes) return new Trouble("fileTooBig", { fact: limits.max_upload_bytes });
  return null;
}

export class Upload {
  /**
   * @param {{url: string, limits: Limits, onProgress: (part: number) => void, headers?: Record<string, string>, request?: () => XMLHttpRequest,
   *   signal?: AbortSignal, stalled_ms?: number}} options `part` 0..1; 1 means all is sent
   */
  constructor({ url, limits, onProgress, headers = {}, request = () => new XMLHttpRequest(), signal, stalled_ms = STALLED_MS }) {
    this.url = url;
    this.limits = limits;
    this.onProgress = onProgress;
    this.headers = headers;
    this.stalled_ms = stalled_ms;
    this.xhr = request(); // fetch() tells nothing about how much was sent
    signal?.addEventListener("abort", () => this.cancel());
  }

  /**
   * @param {File} file
   * @returns {Promise<any>} the answer; rejects with a Trouble
   */
  send(file) {
    const { xhr, limits } = this;
    const refused = refusal(file, limits);
    if (refused) return Promise.reject(refused);
    let sent = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let watch;
    return new Promise((resolve, reject) => {
      const broken = () => reject(sent ? new Trouble("cut", { wait_ms: 0 }) : troubleOfAnswer(0, null, limits));
      const alive = () => {
        clearTimeout(watch);
        watch = setTimeout(() => {
          broken();
          xhr.abort();
        }, this.stalled_ms);
      };
      xhr.upload.onprogress = (event) => {
        sent = event.loaded;
        alive();
        this.onProgress(event.lengthComputable ? Math.min(1, event.loaded / event.total) : 0);
      };
      xhr.upload.onload = () => {
        clearTimeout(watch); // how long the server then listens to it depends on its length; the person can cancel
        this.onProgress(1);
      };
      xhr.onload = () => {
        const answer = json(xhr.responseText);
        if (xhr.status === 200 && answer) resolve(answer);
        else reject(troubleOfAnswer(xhr.status, withPause(answer, xhr), limits));
      };
      // A server that refuses early closes while we still send, and the browser then shows no answer at all.
      xhr.onerror = broken;
      xhr.onabort = () => reject(new Trouble("aborted", { wait_ms: 0 }));
      xhr.open("POST", this.url);
      xhr.setRequestHeader("Accept", "application/json, application/problem+json");
      for (const [name, value] of Object.entries(this.headers)) xhr.setRequestHeader(name, value);
      const form = new FormData();
      form.append("file", file);
      alive();
      xhr.send(form);
    }).finally(() => clearTimeout(watch));
  }

  cancel() {
    this.xhr.abort();
  }
}

/** A proxy's refusal has no problem+json: its header says when to come again. @param {any} answer @param {XMLHttpRequest} xhr */
function withPause(answer, xhr) {
  const seconds = Number(xhr.getResponseHeader?.("Retry-After") ?? NaN);
  return answer?.code || !(seconds > 0) ? answer : { ...answer, retry_after_ms: seconds * 1000 };
}

/** @param {string} text */
function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
