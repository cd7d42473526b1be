// What is listened to: microphone or a tab's sound, and which microphone. Chosen before listening; while it lasts the choice stays to be seen, and is disabled.
// Used by listening.js.
// @ts-check

import { watchMicrophones } from "./devices.js";
import { screenSound } from "./screen.js";
import { at } from "../view/dom.js";

export class Controls {
  /** @type {import("./devices.js").Microphones} */ #found = { devices: [], named: false };
  /** the name of a chosen microphone that is no longer there */ #gone = "";
  #key = "";

  /** @param {import("../page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.sources = /** @type {HTMLFieldSetElement} */ (at("sources"));
    this.select = /** @type {HTMLSelectElement} */ (at("device"));
    this.hint = at("source-hint");
    this.place = at("device-choice");
    const { settings, visit } = page;
    this.sources.addEventListener("change", (event) => {
      const { value } = /** @type {HTMLInputElement} */ (event.target);
      settings.set({ source: value === "tab" ? "tab" : "microphone" });
    });
    this.select.addEventListener("change", () => {
      this.#gone = "";
      settings.set({ device: this.select.value });
      this.draw();
    });
    settings.addEventListener("change", () => this.draw());
    visit.addEventListener("list", () => this.draw());
    visit.addEventListener("change", () => this.draw());
    this.look = watchMicrophones((found) => this.#heardOf(found));
    this.draw();
  }

  /** @param {import("./devices.js").Microphones} found */
  #heardOf(found) {
    const { settings } = this.page;
    const { device } = settings.choices;
    if (!found.named && this.#found.named) return; // Safari keeps the names to itself while nobody listens
    const before = this.#found.devices.find(({ id }) => id === device);
    this.#found = found;
    if (device && found.named && !found.devices.some(({ id }) => id === device)) {
      this.#gone = before?.name ?? "";
      settings.set({ device: "" }); // said below: nobody is to listen to another microphone unknowingly
    }
    this.draw();
  }

  draw() {
    const { words, settings, visit } = this.page;
    const { source, device } = settings.choices;
    const going = visit.live !== null;
    this.sources.disabled = this.select.disabled = going;
    for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (this.sources.querySelectorAll("input"))) input.checked = input.value === source;
    this.place.hidden = source === "tab";
    const hint = this.#hint(source);
    if (this.hint.textContent !== hint) this.hint.textContent = hint;
    this.hint.classList.toggle("warn", this.#gone !== "" || (source === "tab" && screenSound() !== "yes"));
    this.#options(words.controls.device.system, device);
  }

  /** @param {"microphone" | "tab"} source */
  #hint(source) {
    const { tab, device } = this.page.words.controls;
    if (source === "tab") return tab[screenSound()];
    if (this.#gone) return device.gone(this.#gone);
    return this.#found.named ? device.raw : device.unnamed;
  }

  /** @param {string} system @param {string} chosen */
  #options(system, chosen) {
    const options = [{ id: "", name: system }, ...this.#found.devices];
    const key = JSON.stringify(options);
    if (key !== this.#key) {
      this.#key = key;
      this.select.replaceChildren(...options.map(({ id, name }) => new Option(name, id)));
    }
    if (this.select.value !== chosen) this.select.value = chosen;
  }
}
