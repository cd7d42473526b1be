// Every sentence the page shows, in English. Each room of the page has a file of its own in en/: an object of top-level sections, put together here, so that
// whoever adds words adds them in en/<room>.js and hi/<room>.js, under a top-level section of the room's own (words.chart.x, words.keep.y …), never here.
// Plain entries are filled into `data-words` elements of the template; functions take facts and give a sentence. How numbers look: units.js, for all languages.
// Another language is another folder of the same shape (tests/js/words.test.mjs holds them to it). Used by index.js.
// @ts-check

import { chart } from "./en/chart.js";
import { controls } from "./en/controls.js";
import { explain } from "./en/explain.js";
import { files } from "./en/files.js";
import { keep } from "./en/keep.js";
import { page } from "./en/page.js";
import { trouble } from "./en/trouble.js";
import { verdict } from "./en/verdict.js";

export const en = { ...page, ...verdict, ...trouble, ...controls, ...chart, ...files, ...keep, ...explain };
