// The words of the language in use. `words` stays the same object all the time; `speak` puts another language's words into it, and whoever holds it
// reads the new ones at the next drawing. Every language is one module of the same shape (tests/js/words.test.mjs holds them to it).
// @ts-check

import { en } from "./en.js";

/** @typedef {typeof en} Words */

/** @type {Record<string, Words>} by language tag */
export const LANGUAGES = { en };

/** @type {Words} */
export const words = { ...en };

/** @param {string} language one of LANGUAGES */
export function speak(language) {
  Object.assign(words, LANGUAGES[language] ?? en);
}
