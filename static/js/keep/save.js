// Gives the person a file, and puts text on the clipboard: what browsers differ in. Used by keep.js and repeat.js.
// @ts-check

const KEPT_MS = 60_000; // a browser reads the blob after the click has returned; Safari takes its time

/** @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.hidden = true;
  document.body.append(link); // Firefox wants it in the document
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}

/** @param {Blob} blob @returns {Promise<string>} data:… */
export function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/**
 * The element's text onto the clipboard; where that is not allowed (no secure origin, no permission) the text is left selected.
 * @param {HTMLElement} element
 * @returns {Promise<boolean>} whether it is on the clipboard
 */
export async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(element);
    try {
      if (!document.execCommand("copy")) return false;
    } catch {
      return false;
    }
    getSelection()?.removeAllRanges();
    return true;
  }
}
