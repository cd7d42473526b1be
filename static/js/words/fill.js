// Puts words into the elements that name them: data-words="a.b" fills the text, data-words-title the title, data-words-label the aria-label.
// Used by view.js for the whole page, each time the language changes; and by any part for what it made later.
// @ts-check

const PLACES = /** @type {const} */ ([
  ["words", "data-words", (/** @type {Element} */ element, /** @type {string} */ text) => (element.textContent = text)],
  ["wordsTitle", "data-words-title", (/** @type {Element} */ element, /** @type {string} */ text) => element.setAttribute("title", text)],
  ["wordsLabel", "data-words-label", (/** @type {Element} */ element, /** @type {string} */ text) => element.setAttribute("aria-label", text)],
]);

/**
 * @param {ParentNode} root
 * @param {import("./index.js").Words} words
 */
export function fill(root, words) {
  for (const [name, attribute, put] of PLACES) {
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(`[${attribute}]`))) put(element, entry(words, element.dataset[name] ?? ""));
  }
}

/**
 * words.a.b for "a.b"; the name itself where there is none, so that a slip is seen and breaks nothing.
 * @param {any} words
 * @param {string} name
 * @returns {string}
 */
export function entry(words, name) {
  const found = name.split(".").reduce((part, key) => part?.[key], words);
  return typeof found === "string" ? found : name;
}
