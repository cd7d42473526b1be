// The page begins here: what the server told it stands in the document. Loaded by templates/index.html. `page` is exported for tests and for the curious.
// @ts-check

import { Page } from "./page.js";

export const page = new Page(JSON.parse(document.documentElement.dataset.facts ?? "{}"));
