// Which ends of a connection are worth another try, and when. Pure. Used by stream.js.
// @ts-check

/** Close codes after which a session may be resumed; 1005 and 1006 are the browser's own words for "it just ended". */
const RETRY_CLOSE = new Set([1001, 1005, 1006, 1011, 1012, 1013, 4408, 4429, 4503]);
const PAUSES_MS = [300, 700, 1500, 3000, 6000, 10_000];

/** @param {number} code */
export function worthRetrying(code) {
  return RETRY_CLOSE.has(code);
}

/**
 * The pause before try `attempt` (from 0): growing, spread so that a restarted server is not met by everybody at once, never shorter than it asked for.
 * @param {number} attempt
 * @param {number} dice 0..1
 * @param {number} [asked_ms]
 */
export function pauseBefore(attempt, dice, asked_ms = 0) {
  return Math.max(asked_ms, PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)] * (0.75 + dice / 2));
}
