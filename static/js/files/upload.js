// One file -> POST /v1/detect, with progress; the answer, or a Trouble in its place. Used by files.js.
// @ts-check

import { Trouble, troubleOfAnswer } from "../found/trouble.js";

/**
 * @typedef {{max_upload_bytes: number, max_audio_seconds: number}} Limits
 */

export class Upload {
  /**
   * @param {{url: string, limits: Limits, onProgress: (part: number) => void, headers?: Record<string, string>, request?: () => XMLHttpRequest}} options `part` 0..1; 1 means all is sent
   */
  constructor({ url, limits, onProgress, headers = {}, request = () => new XMLHttpRequest() }) {
    this.url = url;
    this.limits = limits;
    this.onProgress = onProgress;
    this.headers = headers;
    this.xhr = request(); // fetch() tells nothing about how much was sent
  }

  /**
   * @param {File} file
   * @returns {Promise<any>} the answer; rejects with a Trouble
   */
  send(file) {
    const { xhr, limits } = this;
    if (!file.size) return Promise.reject(new Trouble("empty"));
    if (file.size > limits.max_upload_bytes) return Promise.reject(new Trouble("fileTooBig", { fact: limits.max_upload_bytes }));
    return new Promise((resolve, reject) => {
      xhr.upload.onprogress = (event) => this.onProgress(event.lengthComputable ? Math.min(1, event.loaded / event.total) : 0);
      xhr.upload.onload = () => this.onProgress(1);
      xhr.onload = () => {
        const answer = json(xhr.responseText);
        if (xhr.status === 200 && answer) resolve(answer);
        else reject(troubleOfAnswer(xhr.status, answer, limits));
      };
      // A server that refuses early closes while we still send, and the browser then shows no answer at all.
      xhr.onerror = () => reject(troubleOfAnswer(0, null, limits));
      xhr.onabort = () => reject(new Trouble("aborted", { wait_ms: 0 }));
      xhr.open("POST", this.url);
      xhr.setRequestHeader("Accept", "application/json, application/problem+json");
      for (const [name, value] of Object.entries(this.headers)) xhr.setRequestHeader(name, value);
      const form = new FormData();
      form.append("file", file);
      xhr.send(form);
    });
  }

  cancel() {
    this.xhr.abort();
  }
}

/** @param {string} text */
function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
