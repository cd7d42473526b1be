// Numbers as every language of the page writes them: Western digits, a point, a clock. Each language adds its own unit words. Pure. Used by en/ and hi/.
// @ts-check

import { clock } from "../found/time.js";

export { clock, fineClock } from "../found/time.js";

/** 3.5 @param {number} ms */
export const tenths = (ms) => (ms / 1000).toFixed(1);
/** Never 0 or 1: the detector is never certain. @param {number | null} score */
export const score = (score) => (score === null ? "–" : score > 0.99 ? "> 0.99" : score < 0.01 ? "< 0.01" : score.toFixed(2));
/** −18 @param {number} dbfs */
export const whole = (dbfs) => dbfs.toFixed(0).replace("-", "−");
/** @param {number} bytes */
export const size = (bytes) => (bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MB`);

/**
 * @param {{s: string, ms: string, min: string, minutes: string, seconds: string}} names of the units, in one language
 */
export const units = ({ s, ms: milli, min, minutes, seconds }) => ({
  /** 3.5 s @param {number} ms */
  seconds: (ms) => `${tenths(ms)} ${s}`,
  /** 3.5 s, 12:30 min @param {number} ms */
  length: (ms) => (ms < 60_000 ? `${tenths(ms)} ${s}` : `${clock(ms)} ${min}`),
  /** 30 minutes @param {number} s */
  minutes: (s) => (s % 60 === 0 ? `${s / 60} ${minutes}` : `${Math.round(s)} ${seconds}`),
  /** 240 ms, 1.2 s @param {number | null} ms */
  lag: (ms) => (ms === null ? "–" : ms < 1000 ? `${ms} ${milli}` : `${tenths(ms)} ${s}`),
});
/** 6.8 @param {number} number */
export const tenth = (number) => number.toFixed(1);
/** −0.84, +0.87 @param {number} number */
export const sign = (number) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(2)}`;
/**
 * How many of a hundred, with the verb that goes with one or with many.
 * @param {number} share 0..1
 * @param {string} few what is said of less than one
 * @param {string} one
 * @param {string} many
 */
export const per = (share, few, one, many) => {
  const count = Math.round(100 * share);
  return count < 1 ? few : `${count} ${count === 1 ? one : many}`.trim();
};
