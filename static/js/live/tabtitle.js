// The verdict in the tab's title while it is listened: who watches a call in another tab sees no more of this page than that. A page nobody looks at draws
// nothing, so this does not wait for a frame. Used by listening.js.
// @ts-check

import { panelOf } from "../view/panel.js";

export class TabTitle {
  /** @param {typeof import("../words/index.js").words} words */
  constructor(words) {
    this.words = words;
    document.addEventListener("visibilitychange", () => {
      if (this.over && !document.hidden) this.#put(this.words.title);
    });
    this.over = true;
  }

  /** @param {import("../check.js").Check} check */
  say(check) {
    this.over = false;
    this.#put(this.words.controls.tabTitle(panelOf(check, this.words).title));
  }

  /** The last word stays until somebody has come to see it. @param {import("../check.js").Check} check */
  end(check) {
    this.say(check);
    this.over = true;
    if (!document.hidden) this.#put(this.words.title);
  }

  /** @param {string} title */
  #put(title) {
    if (document.title !== title) document.title = title;
  }
}
