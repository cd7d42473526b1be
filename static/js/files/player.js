// Plays the check on show: its file or its recording, from where the chart was clicked. Drives the chart's playhead. Used by page.js.
// @ts-check

export class Player {
  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
  }
}
