// Lengths of time in Hindi. Used by the other modules here.
// @ts-check

import { units } from "../units.js";

export const { seconds, length, minutes, lag } = units({ s: "सेकंड", ms: "मि.से.", min: "मिनट", minutes: "मिनट", seconds: "सेकंड" });
