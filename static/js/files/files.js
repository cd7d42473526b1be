// Files that were picked or dropped: each becomes a Check and is sent to POST /v1/detect. Used by page.js.
// @ts-check

import { Check } from "../check.js";
import { Trouble } from "../found/trouble.js";
import { findingsOfFile } from "../found/verdict.js";
import { Upload } from "./upload.js";

const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class Files {
  /** @type {Upload | null} */ upload = null;

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    const picker = (this.picker = /** @type {HTMLInputElement} */ (element("picker")));
    picker.addEventListener("change", () => {
      const file = picker.files?.[0];
      picker.value = ""; // the same file may be chosen again
      if (file) void this.check(file);
    });
    const carriesFile = (/** @type {DragEvent} */ event) => !page.busy && event.dataTransfer?.types.includes("Files");
    window.addEventListener("dragover", (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); // or the browser would leave the page for the file
      element("drop").hidden = !carriesFile(event);
    });
    window.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) element("drop").hidden = true;
    });
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      element("drop").hidden = true;
      const file = event.dataTransfer?.files[0];
      if (file && carriesFile(event)) void this.check(file);
    });
  }

  pick() {
    this.picker.click();
  }

  cancel() {
    this.upload?.cancel();
  }

  /** @param {File} file */
  async check(file) {
    const { visit, settings, facts, words, base, keyring } = this.page;
    if (this.page.busy) return;
    const url = new URL("v1/detect", base);
    url.searchParams.set("profile", settings.choices.profile);
    const check = new Check({ kind: "file", source: words.file.chosen(file.name, file.size), profile: settings.choices.profile, file });
    check.again = () => void this.check(file);
    const upload = (this.upload = new Upload({
      url: url.href,
      limits: facts,
      headers: keyring.headers(),
      onProgress: (progress) => visit.changed(check, { phase: progress < 1 ? "uploading" : "checking", progress }),
    }));
    visit.add(check);
    visit.changed(check, { phase: "uploading" });
    try {
      check.found = findingsOfFile(await upload.send(file));
      visit.changed(check, { phase: "result" });
    } catch (error) {
      const trouble = error instanceof Trouble ? error : new Trouble("other", { fact: String(error) });
      if (trouble.key === "aborted") visit.remove(check);
      else visit.changed(check, { phase: "failed", trouble, wait_until: performance.now() + (trouble.wait_ms ?? 0) });
    } finally {
      this.upload = null;
    }
  }
}
