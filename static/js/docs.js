// The documentation works without this: it adds copy buttons, keeps one language for all examples, filters the contents and marks where one is.
// Loaded by templates/docs.html.
// @ts-check

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} selector @param {ParentNode | null} [within] */
const all = (selector, within = document) => /** @type {HTMLElement[]} */ ([...(within?.querySelectorAll(selector) ?? [])]);

const announce = element("announce");
const contents = /** @type {HTMLDetailsElement} */ (element("contents"));
const filter = /** @type {HTMLInputElement} */ (element("filter"));
const STORED = "voxproof-docs-language";

for (const button of all(".copy")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}

/** @param {HTMLElement} button */
async function copy(button) {
  const shown = all(".panel", button.parentElement).find((panel) => panel.offsetParent !== null);
  if (!shown) return;
  try {
    await navigator.clipboard.writeText(shown.textContent ?? "");
  } catch {
    // Clipboards need a secure context; a selection does not.
    getSelection()?.selectAllChildren(shown);
    document.execCommand("copy");
    getSelection()?.removeAllRanges();
  }
  button.textContent = "Copied";
  announce.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
    announce.textContent = "";
  }, 1600);
}

/** @param {string} language */
function choose(language) {
  const inputs = /** @type {HTMLInputElement[]} */ (all(`input[data-language="${CSS.escape(language)}"]`));
  for (const input of inputs) input.checked = true;
}

document.addEventListener("change", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const { language } = target.dataset;
  if (!language) return;
  const before = target.getBoundingClientRect().top;
  choose(language);
  scrollBy(0, target.getBoundingClientRect().top - before); // examples above may have become longer
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // Storage may be forbidden; then the choice lasts for this page.
  }
});
try {
  const language = localStorage.getItem(STORED);
  if (language) choose(language);
} catch {
  // As above.
}

const wide = matchMedia("(min-width: 64rem)");
const unfold = () => { contents.open = wide.matches; };
wide.addEventListener("change", unfold);
unfold();
contents.addEventListener("click", ({ target }) => {
  if (/** @type {HTMLElement} */ (target).closest("a") && !wide.matches) contents.open = false;
});

filter.hidden = false;
filter.addEventListener("input", () => {
  const wanted = filter.value.trim().toLowerCase();
  for (const item of all("li", contents)) {
    const link = /** @type {HTMLAnchorElement} */ (item.firstElementChild);
    const section = document.getElementById(link.hash.slice(1));
    const text = `${item.textContent} ${section?.querySelector(".address")?.textContent ?? ""}`;
    item.hidden = !text.toLowerCase().includes(wanted);
  }
  for (const list of all("ul", contents)) {
    const empty = all(":scope > *", list).every((item) => item.hidden);
    list.hidden = empty;
    /** @type {HTMLElement} */ (list.previousElementSibling).hidden = empty;
  }
});

const links = new Map([...contents.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
const seen = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) seen[isIntersecting ? "add" : "delete"](target.id);
  const current = [...links.keys()].find((id) => seen.has(id));
  for (const [id, link] of links) {
    if (id === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}, { rootMargin: "-15% 0px -70% 0px" });
for (const id of links.keys()) {
  const section = document.getElementById(id);
  if (section) watcher.observe(section);
}

// A link to an error or a message inside something folded opens it.
function reveal() {
  let fold = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details");
  while (fold) {
    fold.open = true;
    fold = fold.parentElement?.closest("details");
  }
}
addEventListener("hashchange", reveal);
reveal();
