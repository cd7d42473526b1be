// The pause button beside Stop, and its shortcut. It stands in the place of "check a file", which cannot be begun meanwhile, so that nothing moves. Used by listening.js.
// @ts-check

export class PauseButton {
  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.button = /** @type {HTMLButtonElement} */ (document.getElementById("pause"));
    this.button.addEventListener("click", () => {
      if (page.visit.live?.phase === "paused") page.listening.resume();
      else page.listening.pause();
    });
    // With a modifier, so that nobody who types, or speaks to the computer, pauses by accident. By the key's place: Alt makes another letter of it on a Mac.
    window.addEventListener("keydown", (event) => {
      const { altKey, ctrlKey, metaKey, shiftKey, repeat, code } = event;
      if (code !== "KeyP" || !altKey || ctrlKey || metaKey || shiftKey || repeat || this.button.hidden) return;
      event.preventDefault();
      this.button.click();
    });
    for (const name of ["list", "change"]) page.visit.addEventListener(name, () => this.draw());
    page.settings.addEventListener("change", () => this.draw());
  }

  draw() {
    const { button } = this;
    const { words, visit } = this.page;
    const phase = visit.live?.phase;
    const shown = phase === "listening" || phase === "paused";
    if (!shown && document.activeElement === button) document.getElementById("primary")?.focus(); // it goes away under the finger
    button.hidden = !shown;
    const text = phase === "paused" ? words.controls.resume : words.controls.pause;
    if (button.textContent !== text) button.textContent = text;
  }
}
