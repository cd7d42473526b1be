// Every sentence the page shows, in Hindi (हिन्दी): the same shape as en.js, room by room; numbers and times look the same. Used by index.js.
// @ts-check

import { chart } from "./hi/chart.js";
import { controls } from "./hi/controls.js";
import { explain } from "./hi/explain.js";
import { files } from "./hi/files.js";
import { keep } from "./hi/keep.js";
import { page } from "./hi/page.js";
import { trouble } from "./hi/trouble.js";
import { verdict } from "./hi/verdict.js";

/** @type {typeof import("./en.js").en} */
export const hi = { ...page, ...verdict, ...trouble, ...controls, ...chart, ...files, ...keep, ...explain };
