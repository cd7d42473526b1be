// The words of the language in use. `words` stays the same object all the time; `speak` puts another language's words into it, and whoever holds it
// reads the new ones at the next drawing. Every language is one module of the same shape (tests/js/words.test.mjs holds them to it).
// @ts-check

import { en } from "./en.js";
import { hi } from "./hi.js";

/** @typedef {typeof en} Words */

/** @type {Record<string, Words>} by language tag */
export const LANGUAGES = { en, hi };

/** @type {Words} */
export const words = { ...en };

/** @param {string} language one of LANGUAGES */
export function speak(language) {
  Object.assign(words, LANGUAGES[language] ?? en);
}

/**
 * The first language we speak among those somebody wishes; English if there is none.
 * @param {(string | null | undefined)[]} wishes tags like "hi-IN", the dearest first
 */
export function chosen(wishes) {
  for (const wish of wishes) {
    const tag = String(wish ?? "").toLowerCase().split("-")[0];
    if (Object.hasOwn(LANGUAGES, tag)) return tag;
  }
  return "en";
}
