// HTML as text, everything foreign escaped: html`<p>${name}</p>`. What is put in is text, other markup, or lists of both; null and false are nothing. Pure; used by
// report.js, which writes a file. The page itself is never built of text.
// @ts-check

const ESCAPED = /** @type {Record<string, string>} */ ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" });

export class Markup {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
  toString() {
    return this.text;
  }
}

/** @param {TemplateStringsArray} strings @param {...unknown} values */
export function html(strings, ...values) {
  return new Markup(strings.reduce((text, piece, i) => text + written(values[i - 1]) + piece));
}

/** @param {unknown} value @returns {string} */
function written(value) {
  if (value === null || value === undefined || value === false) return "";
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(written).join("");
  return String(value).replace(/[&<>"']/g, (sign) => ESCAPED[sign]);
}
