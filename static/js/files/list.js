// The list of what was checked in this visit: state, verdict, name; choose one to see it, or take it away. Used by page.js.
// @ts-check

export class VisitList {
  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
  }
}
