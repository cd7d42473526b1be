// What the words mean, why this verdict is uncertain, and the operating points with their measured rates. Used by page.js.
// @ts-check

export class Explain {
  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
  }
}
