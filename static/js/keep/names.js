// Names of files that every system takes, and times as people and programs read them. Pure. Used by keep.js, evidence.js, report.js.
// @ts-check

const MOST_CHARACTERS = 60; // of three bytes each at most in what is written today; file systems take 255 bytes
const two = (/** @type {number} */ n) => String(Math.trunc(Math.abs(n))).padStart(2, "0");

/**
 * voxproof-<name>-<local date and time>.<ending>, of letters (of any script), digits, dots and dashes only.
 * @param {string} name what was checked: a file's name, ending and all, or anything
 * @param {Date} at @param {string} ending
 */
export function fileName(name, at, ending) {
  const stem = name.normalize("NFC").replace(/\.[A-Za-z0-9]{1,5}$/, "");
  const safe = [...stem.replace(/[^\p{L}\p{M}\p{N}._-]+/gu, "-").replace(/-{2,}/g, "-")].slice(0, MOST_CHARACTERS).join("");
  const about = safe.replace(/^[.\p{M}-]+|[.-]+$/gu, "");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return ["voxproof", about, `${day}-${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}.${ending}`].filter(Boolean).join("-");
}

/** 2026-11-21T14:05:22.120+05:30 @param {Date} at */
export function localTime(at) {
  const offset = -at.getTimezoneOffset();
  const shifted = new Date(at.getTime() + offset * 60_000).toISOString().slice(0, -1);
  return `${shifted}${offset < 0 ? "-" : "+"}${two(offset / 60)}:${two(offset % 60)}`;
}

/** 2026-11-21 14:05:22 (+05:30), for people @param {string} local as of `localTime` */
export const readable = (local) => local.replace("T", " ").replace(/\.\d+/, "").replace(/([+-]\d\d:\d\d|Z)$/, (zone) => ` (${zone === "Z" ? "UTC" : `UTC${zone}`})`);

/** The page's own address without what may be secret in it. @param {string} address */
export function plainAddress(address) {
  const url = new URL(address);
  url.username = url.password = url.search = url.hash = "";
  return url.href;
}
