// Two things every part does with the document: find an element of the template, write a text that is new. Used by whatever draws.
// @ts-check

/** @param {string} id of the template @returns {HTMLElement} */
export const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * Written only when it is new: a text that is written again costs a layout, and screen readers say it again.
 * @param {Element} element
 * @param {string} text
 * @returns {boolean} whether it was
 */
export function put(element, text) {
  if (element.textContent === text) return false;
  element.textContent = text;
  return true;
}
