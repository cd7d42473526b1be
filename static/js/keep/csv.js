// Evidence -> CSV (RFC 4180): one row a scored window, the unit in the name of each column. Pure. Used by keep.js.
//
// It begins with a byte order mark: without one Excel takes UTF-8 for the system's old code page, and a Hindi name becomes rubbish. pandas drops it by itself;
// Python's csv wants encoding="utf-8-sig".
// @ts-check

/** @type {[string, (segment: any, name: string) => string | number | null | undefined][]} */
const COLUMNS = [
  ["name", (_, name) => defused(name)],
  ["channel", (s) => s.channel + 1],
  ["window", (s) => s.index + 1],
  ["start_ms", (s) => s.start_ms],
  ["end_ms", (s) => s.end_ms],
  ["verdict", (s) => s.verdict],
  ["score_0_human_1_machine", (s) => s.score],
  ["llr_nat", (s) => s.llr],
  ["speech_ms", (s) => s.speech_ms],
  ["level_dbfs", (s) => s.quality?.level_dbfs],
  ["clipped_share", (s) => s.quality?.clipping],
  ["bandwidth_hz", (s) => s.quality?.bandwidth_hz],
  ["lag_ms", (s) => s.behind_ms ?? s.latency_ms],
];
const BOM = "\ufeff";

/** @param {import("./evidence.js").Evidence} evidence */
export function csvOf({ check, segments }) {
  const rows = [COLUMNS.map(([name]) => name), ...segments.map((segment) => COLUMNS.map(([, value]) => value(segment, check.name)))];
  return BOM + rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** @param {string | number | null | undefined} value */
function cell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Text that a spreadsheet would run as a formula gets a quote before it. Numbers are no text: −2.5 stays one. @param {string} text */
function defused(text) {
  return /^[\s\0]*[=+\-@\t\r\uff0b\uff0d\uff1d\uff20]/.test(text) ? `'${text}` : text;
}
