// While it is listened: the screen stays on, for a phone that sleeps hears nothing, and leaving the page asks first, for that would end it without a result.
// After a result nobody is asked: what is to be kept is kept with the buttons for it. Used by listening.js.
// @ts-check

export class Awake {
  #on = false;
  /** @type {WakeLockSentinel | null} */ #lock = null;

  start() {
    if (this.#on) return;
    this.#on = true;
    document.addEventListener("visibilitychange", this.#ask); // a lock ends when the page is hidden
    window.addEventListener("beforeunload", this.#stay); // only now: it keeps a page from being restored at once
    this.#ask();
  }

  stop() {
    this.#on = false;
    document.removeEventListener("visibilitychange", this.#ask);
    window.removeEventListener("beforeunload", this.#stay);
    void this.#lock?.release().catch(() => {});
    this.#lock = null;
  }

  #ask = () => {
    if (document.hidden || !("wakeLock" in navigator)) return;
    navigator.wakeLock.request("screen").then(
      (lock) => {
        const other = this.#on ? this.#lock : lock; // asked for twice in a short while, or too late
        if (this.#on) this.#lock = lock;
        void other?.release().catch(() => {});
      },
      () => {}, // a low battery forbids it, and some rules do
    );
  };

  #stay = (/** @type {BeforeUnloadEvent} */ event) => {
    event.preventDefault();
    event.returnValue = true; // browsers of before 2024 want this
  };
}
