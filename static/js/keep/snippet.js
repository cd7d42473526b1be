// A check -> the source that repeats it, in the words of the documentation's own examples (facts.examples, made by app/web/snippets.py): what stands there for
// address, file, format and operating point is exchanged. Never holds a key: the examples read it from the environment. Pure. Used by repeat.js.
// @ts-check

// What the documentation's examples say, literally; tests/js/keep.test.mjs notices when it changes.
const BASE = "http://127.0.0.1:8000";
const BASE_WS = "ws://127.0.0.1:8000";
const HEADER_BYTES = 44;
const PIECES_A_SECOND = 50;

/**
 * @typedef {{file: Record<string, string>, file_keyed: Record<string, string>, stream: Record<string, string>}} Examples each by language: sh, py, mjs
 * @typedef {{kind: "live" | "file", name: string, profile: string, base: string, keyed: boolean, rate?: number, fits: boolean}} Wanted
 *   `name` of the file as it lies on disk; `fits`: a recording that POST /v1/detect takes
 */

export const LANGUAGES = /** @type {const} */ (["sh", "py", "mjs"]);

/**
 * @param {Examples} examples @param {Wanted} wanted
 * @returns {Record<string, string>} by language
 */
export function snippetsOf(examples, wanted) {
  const file = wanted.keyed ? examples.file_keyed : examples.file;
  if (wanted.kind === "file") return Object.fromEntries(LANGUAGES.map((language) => [language, ofFile(file[language], language, wanted)]));
  return {
    sh: wanted.fits ? ofFile(file.sh, "sh", wanted) : ofCommand(examples.stream.sh, wanted),
    py: ofStream(examples.stream.py, "py", wanted),
    mjs: ofStream(examples.stream.mjs, "mjs", wanted),
  };
}

/** @param {string} text @param {string} language @param {Wanted} wanted */
function ofFile(text, language, { name, profile, base }) {
  const said = exchanged(text, [
    [BASE, withoutSlash(base)],
    ["profile=balanced", `profile=${encodeURIComponent(profile)}`],
  ]);
  if (language !== "sh") return said.replaceAll('"call.wav"', () => JSON.stringify(name));
  // curl itself reads quotes and backslashes in a form's file name, once the shell is through with it.
  const plain = /^[\w.-]+$/.test(name);
  return exchanged(said, [["file=@call.wav", plain ? `file=@${name}` : quoted(`file=@"${name.replace(/["\\]/g, "\\$&")}"`)]]);
}

/** @param {string} text @param {string} language @param {Wanted} wanted */
function ofStream(text, language, { name, profile, base, rate = 48000 }) {
  const whole = language === "py" ? 'open("call.ulaw", "rb").read()' : 'await readFile("call.ulaw")';
  const samples = language === "py" ? `open(${JSON.stringify(name)}, "rb").read()[${HEADER_BYTES}:]` : `(await readFile(${JSON.stringify(name)})).subarray(${HEADER_BYTES})`;
  const step = Math.max(1, Math.round(rate / PIECES_A_SECOND)) * 2;
  return exchanged(text, [
    ["160", String(step)], // before anything that may hold a 160 of its own
    ["?encoding=mulaw&sample_rate=8000", `?encoding=pcm_s16le&sample_rate=${rate}&profile=${encodeURIComponent(profile)}`],
    [whole, samples],
    [BASE_WS, withoutSlash(base).replace(/^http/, "ws")],
    ...(language === "mjs" ? [/** @type {[string, string]} */ ([BASE, withoutSlash(base)])] : []),
  ]);
}

/** @param {string} text @param {Wanted} wanted */
function ofCommand(text, { name, profile, base }) {
  return exchanged(text, [
    ["call.wav", /^[\w.-]+$/.test(name) ? name : quoted(name)],
    [BASE_WS, withoutSlash(base).replace(/^http/, "ws")],
    ["--real-time", `--profile ${profile}`],
  ]);
}

/** @param {string} text @param {[string, string][]} pairs each of which has to be there */
function exchanged(text, pairs) {
  for (const [from, to] of pairs) {
    if (!text.includes(from)) throw new Error(`the example no longer says ${from}`);
    text = text.replaceAll(from, () => to); // a function, or $ would have a meaning
  }
  return text;
}

/** For a POSIX shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
/** @param {string} base */
const withoutSlash = (base) => base.replace(/\/+$/, "");
