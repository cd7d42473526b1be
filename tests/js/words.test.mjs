// The languages: the same shape, the same functions, nothing empty, no English left in Hindi, numbers written the same; and every name the templates use exists.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { entry } from "../../static/js/words/fill.js";
import { chosen, LANGUAGES, speak, words } from "../../static/js/words/index.js";

const ROOT = new URL("../../", import.meta.url).pathname;
const { en } = LANGUAGES;
const OTHERS = Object.entries(LANGUAGES).filter(([tag]) => tag !== "en");
/** Names of things that are written in Latin letters in Hindi software too. */
const LATIN = new Set(
  `Voxproof API LLR JSON CSV HTML WAV FLAC MP3 Ogg Opus WebM M4A PNG Chrome Edge Firefox Safari AudioWorklet https http sha256 SHA dB dBFS kHz Hz KB MB GB curl
  WebSocket URL Alt Ctrl Shift P L EER ROC ms fast balanced strict EN ID Enter Esc Home End Page PDF ZIP Python JavaScript Node Bash shell Wi Fi Bluetooth UTC
  websocat ffmpeg X C Shell`.split(/\s+/),
);
/** What is quoted as it stands: commands, names of fields and of variables, a term in brackets. */
const QUOTED = /https?:\/\/\S*|voxproof keys create|\b[A-Z]+(?:_[A-Z]+)+\b|\(likelihood ratio\)|score = 1 \/ \(1 \+ exp\(−llr\)\)|\((?:llr|score)\)|\b(?:bonafide|spoof|uncertain|no_speech):/g;
/** Facts of several kinds; a function of words is asked with the first that it makes a whole sentence of. */
const FACTS = [
  [3500, 61_000, 3, 4],
  [0.25, [0.125, 0.75], "X", 3],
  [12, 7000, 9000, 5],
  ["X", 61_000, "X", "X"],
  [{ name: "X", version: "1.2", window_seconds: 4, hop_seconds: 0.5, start_ms: 1250, end_ms: 4500, score: 0.75, channel: 1, llr: 1.5 }, true, true],
  [[{ start_ms: 1250, end_ms: 4500 }, { start_ms: 5250, end_ms: 6500 }], true],
];

/** Every leaf of an object of words, with its path. */
function* leaves(part, path = []) {
  for (const [name, value] of Object.entries(part)) {
    if (value && typeof value === "object") yield* leaves(value, [...path, name]);
    else yield [[...path, name].join("."), value];
  }
}

/** What functions of the same name say to the same facts, one of each language; null where no facts of ours suit them. */
function said(...says) {
  for (const facts of FACTS) {
    try {
      const texts = says.map((say) => say(...facts));
      if (texts.every((text) => typeof text === "string" && !/undefined|NaN|\[object/.test(text))) return texts;
    } catch {
      /* they want other facts */
    }
  }
  return null;
}

for (const [tag, other] of OTHERS) {
  test(`${tag} has the same shape as English`, () => {
    const shape = (language) => new Map([...leaves(language)].map(([path, value]) => [path, `${typeof value}${typeof value === "function" ? `/${value.length}` : ""}`]));
    const [ours, theirs] = [shape(en), shape(other)];
    assert.deepEqual([...theirs.keys()].filter((path) => !ours.has(path)), [], `only in ${tag}`);
    assert.deepEqual([...ours.keys()].filter((path) => !theirs.has(path)), [], `not in ${tag}`);
    assert.deepEqual([...ours].filter(([path, kind]) => theirs.get(path) !== kind).map(([path]) => path), [], "another kind, or another number of parameters");
  });

  test(`nothing is empty in ${tag} that is not empty in English`, () => {
    const empty = [...leaves(other)].filter(([path, value]) => value === "" && entry(en, path) !== "").map(([path]) => path);
    assert.deepEqual(empty, []);
  });

  test(`${tag} is not English: Latin letters only in names that are written so everywhere`, () => {
    const left = [];
    for (const [path, value] of leaves(other)) {
      const text = typeof value === "function" ? said(value)?.[0] : value;
      if (typeof text !== "string" || path === "language") continue;
      for (const [word] of text.replaceAll(QUOTED, "").matchAll(/[A-Za-z][A-Za-z0-9]*/g)) if (!LATIN.has(word)) left.push(`${path}: ${word}`);
    }
    assert.deepEqual(left, []);
  });

  test(`numbers and times look the same in ${tag}`, () => {
    let compared = 0;
    const differing = [];
    for (const [path, say] of leaves(en)) {
      if (typeof say !== "function") continue;
      const pair = said(say, path.split(".").reduce((part, name) => part[name], other));
      if (!pair) continue;
      const [ours, theirs] = pair.map((text) => (text.match(/[−+]?\d[\d.:]*/g) ?? []).map((number) => number.replace(/[.:]$/, "")).sort().join(" ")); // prettier-ignore
      if (ours !== theirs) differing.push(`${path}: ${pair.join(" | ")}`);
      compared++;
    }
    assert.deepEqual(differing, []);
    assert.ok(compared > 40, `only ${compared} functions could be compared`);
    assert.doesNotMatch(JSON.stringify(Object.fromEntries(leaves(other))), /[०-९]/, "digits are Western");
  });

  test(`${tag} ends its sentences as it does: a danda in Hindi`, () => {
    if (tag !== "hi") return;
    const wrong = [...leaves(other)].filter(([path, value]) => typeof value === "string" && /[\u0900-\u097f]\.$/.test(value) && !/से\.$/.test(value)).map(([path]) => path);
    assert.deepEqual(wrong, []);
  });
}

test("every name that a template or a module gives to an element is there", () => {
  const files = [...under("templates", ".html"), ...under("static/js", ".js")].filter((path) => !/docs|report_case|fill\.js/.test(path));
  const missing = [];
  let found = 0;
  for (const path of files) {
    const text = readFileSync(path, "utf8");
    for (const [, name] of text.matchAll(/data-words(?:-title|-label)?="([\w.]+(?:\{\{ \w+ \}\})?[\w.]*)"/g)) {
      for (const whole of expanded(name, text)) {
        found++;
        if (entry(en, whole) === whole || typeof entry(en, whole) !== "string") missing.push(`${path.slice(ROOT.length)}: ${whole}`);
      }
    }
  }
  assert.deepEqual(missing, []);
  assert.ok(found > 20);
});

/** `fact.{{ name }}` for every name that the template's loop gives it. */
function expanded(name, text) {
  const hole = name.match(/\{\{ (\w+) \}\}/);
  if (!hole) return [name];
  const loops = [...text.matchAll(new RegExp(`{% for ${hole[1]} in \\[([^\\]]*)\\] %}([^]*?){% endfor %}`, "g"))].filter(([, , body]) => body.includes(name));
  return loops.flatMap(([, list]) => [...list.matchAll(/"(\w+)"/g)].map(([, each]) => name.replace(hole[0], each)));
}

function under(folder, ending) {
  return readdirSync(join(ROOT, folder), { recursive: true }).map((name) => join(ROOT, folder, String(name))).filter((path) => path.endsWith(ending));
}

test("the first wish that can be met is met", () => {
  assert.equal(chosen([null, undefined, "", "fr-FR", "hi-IN", "en"]), "hi");
  assert.equal(chosen(["EN-gb", "hi"]), "en");
  assert.equal(chosen(["fr"]), "en");
  assert.equal(chosen(["constructor", "__proto__"]), "en");
});

test("another language is spoken by the same object", () => {
  const before = words;
  speak("hi");
  assert.equal(words.language, "hi");
  assert.equal(words.name.bonafide, LANGUAGES.hi.name.bonafide);
  speak("nowhere");
  assert.equal(words.language, "en");
  assert.equal(before, words);
});

test("no top-level section is in two rooms", () => {
  for (const tag of Object.keys(LANGUAGES)) {
    const names = readdirSync(join(ROOT, "static/js/words", tag)).filter((name) => name !== "units.js").flatMap((name) => sections(readFileSync(join(ROOT, "static/js/words", tag, name), "utf8"))); // prettier-ignore
    assert.equal(new Set(names).size, names.length, `${tag}: ${names.filter((name, i) => names.indexOf(name) !== i)}`);
  }
});

/** Names at the first level of the module's object. */
function sections(text) {
  return [...text.matchAll(/^ {2}(\w+)(?=[:,])/gm)].map(([, name]) => name);
}
