// Lengths of time in English. Used by the other modules here.
// @ts-check

import { units } from "../units.js";

export const { seconds, length, minutes, lag } = units({ s: "s", ms: "ms", min: "min", minutes: "minutes", seconds: "seconds" });
