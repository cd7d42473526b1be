// What was dropped, pasted or picked -> files, with those of a dropped folder that look like sound. Used by files.js.
//
// A DataTransfer is empty as soon as its event is over, so what is in it is taken out at once; only then are folders walked.
// @ts-check

const MOST_LOOKED_AT = 2000; // entries of dropped folders; then we stop and say so
const MOST_DEEP = 8;
const SOUND_NAME = /\.(wav|wave|flac|mp3|mp2|ogg|oga|opus|spx|webm|mka|mkv|m4a|m4b|mp4|m4v|mov|aac|amr|awb|aif|aiff|aifc|au|snd|caf|wma|gsm|3gp|3g2|avi|ac3|w64|rf64)$/i;

/** @typedef {{files: File[], left_out: number, cut: boolean}} Gathered `left_out`: files of folders that are no sound; `cut`: not all of a folder was looked at */

/** Whether a file of a folder nobody looked into is worth sending. @param {{name: string, type?: string}} file */
export function looksLikeSound({ name, type = "" }) {
  return !name.startsWith(".") && (/^(audio|video)\//.test(type) || SOUND_NAME.test(name));
}

/** Whether something that is dragged or pasted has files in it. @param {DataTransfer | null} transfer */
export function hasFiles(transfer) {
  return [...(transfer?.types ?? [])].includes("Files");
}

/**
 * @param {DataTransfer} transfer
 * @returns {Promise<Gathered>}
 */
export function gather(transfer) {
  const items = [...(transfer.items ?? [])].filter((item) => item.kind === "file");
  // webkitGetAsEntry is in every browser of today; without it, or for a file that a program made, there is only the file.
  const found = items.map((item) => ({ entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile() }));
  return found.some(({ entry }) => entry?.isDirectory) ? walked(found) : Promise.resolve({ files: [...transfer.files], left_out: 0, cut: false });
}

/**
 * @param {{entry: any, file: File | null}[]} found
 * @returns {Promise<Gathered>}
 */
export async function walked(found, most = MOST_LOOKED_AT) {
  /** @type {Gathered} */
  const out = { files: [], left_out: 0, cut: false };
  let seen = 0;
  /** @param {any} entry @param {number} depth */
  const walk = async (entry, depth) => {
    if (out.cut || ++seen > most || depth > MOST_DEEP) return void (out.cut = true);
    if (!entry.isDirectory) {
      const file = await fileOf(entry);
      if (file && looksLikeSound(file)) out.files.push(file);
      else out.left_out++;
      return;
    }
    for (const child of await childrenOf(entry)) await walk(child, depth + 1);
  };
  for (const { entry, file } of found) {
    if (entry?.isDirectory) await walk(entry, 0);
    else if (file) out.files.push(file); // named by hand: the server has the word
  }
  return out;
}

/** @param {any} entry @returns {Promise<File | null>} */
const fileOf = (entry) => new Promise((resolve) => entry.file(resolve, () => resolve(null)));

/** A reader gives a folder's entries in parts (Chrome: 100 at a time) until none are left. @param {any} folder @returns {Promise<any[]>} by name */
async function childrenOf(folder) {
  const reader = folder.createReader();
  /** @type {any[]} */
  const all = [];
  for (;;) {
    const part = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!part.length || all.length > MOST_LOOKED_AT) return all.sort((a, b) => (a.name < b.name ? -1 : 1));
    all.push(...part);
  }
}
