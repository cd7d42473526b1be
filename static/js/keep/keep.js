// Takes a result away: JSON, CSV, a printable report, the recording as WAV, a snippet that repeats the check. Used by page.js.
// @ts-check

export class Keep {
  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
  }
}
