// Which language the page speaks: ?lang= first, then what was chosen here before, then the browser's own list. The choice in the header. Used by page.js.
// @ts-check

import { chosen, LANGUAGES } from "../words/index.js";

const KEPT = "voxproof.language"; // the only thing this page keeps between visits

/** The language to begin with. */
export function firstLanguage() {
  const asked = new URLSearchParams(location.search).get("lang");
  return chosen([asked, remembered(), ...(navigator.languages ?? [navigator.language])]);
}

export class Language {
  /** @param {import("../page.js").Page} page */
  constructor({ settings }) {
    const select = /** @type {HTMLSelectElement} */ (document.getElementById("language"));
    for (const [tag, words] of Object.entries(LANGUAGES)) {
      const option = new Option(words.languageName, tag);
      option.lang = tag;
      select.add(option);
    }
    select.value = settings.choices.language;
    select.addEventListener("change", () => {
      remember(select.value);
      forgetAsked();
      settings.set({ language: select.value });
    });
    settings.addEventListener("change", () => (select.value = settings.choices.language));
  }
}

// Storage throws where cookies are blocked: then nothing is remembered, and nothing else is different.
function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

/** @param {string} language */
function remember(language) {
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    /* not remembered */
  }
}

/** A choice made by hand counts more than the one in the address, also after a reload. */
function forgetAsked() {
  const url = new URL(location.href);
  if (!url.searchParams.has("lang")) return;
  url.searchParams.delete("lang");
  history.replaceState(history.state, "", url);
}
