// Media time in milliseconds: shifting a message to the recording's axis, writing times, choosing tick marks. Pure.
// @ts-check

const AT_TOP = ["start_ms", "end_ms", "as_of_ms", "at_ms", "received_ms", "processed_ms"];

/**
 * A server message whose session began `shift_ms` into the recording, with its times on the recording's axis.
 * @param {any} message
 * @param {number} shift_ms
 */
export function onAxis(message, shift_ms) {
  if (!shift_ms) return message;
  const out = { ...message };
  for (const name of AT_TOP) if (typeof out[name] === "number") out[name] += shift_ms;
  if (out.range_ms) out.range_ms = out.range_ms.map((/** @type {number} */ ms) => ms + shift_ms);
  if (out.spoof_ranges) {
    out.spoof_ranges = out.spoof_ranges.map((/** @type {any} */ range) => onAxis(range, shift_ms));
    out.from_ms = shift_ms;
  }
  return out;
}

/**
 * 0:07, 12:30, 1:02:03
 * @param {number} ms
 */
export function clock(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60);
  return minutes < 60 ? `${minutes}:${two(s % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}

/**
 * 0:07.4: for the ends of a stretch
 * @param {number} ms
 */
export function fineClock(ms) {
  const tenths = Math.round(ms / 100);
  return `${clock(tenths * 100)}.${tenths % 10}`;
}

const STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].map((s) => s * 1000);

/**
 * Round times in [from_ms, to_ms], at most `most` of them.
 * @param {number} from_ms
 * @param {number} to_ms
 * @param {number} most
 */
export function ticks(from_ms, to_ms, most) {
  const step = STEPS_MS.find((s) => (to_ms - from_ms) / s <= most) ?? Math.ceil((to_ms - from_ms) / most / 3_600_000) * 3_600_000;
  const out = [];
  for (let at = Math.ceil(from_ms / step) * step; at <= to_ms; at += step) out.push(at);
  return out;
}
