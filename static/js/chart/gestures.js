// Pointer, wheel and keys on the chart -> what is meant by them: move the cursor, seek, zoom, pan. Pinch and drag work with fingers as well; a finger that
// moves up or down scrolls the page (`touch-action: pan-y` in chart.css), and so does a plain wheel. Used by chart.js.
// @ts-check

/**
 * @typedef {{
 *   point: (x: number | null) => void, seek: (x: number) => void, pan: (px: number) => void, zoom: (factor: number, x?: number) => void,
 *   step: (views: number) => void, shift: (views: number) => void, edge: (end: boolean) => void, fit: () => void, follow: () => void, choose: () => void, leave: () => void
 * }} Acts  x and px in CSS pixels of the element; step moves the cursor and shift the view, by so many widths of the view
 */

const CLICK_PX = 4;
const WHEEL_ZOOM = 0.0022; // a notch of 100 is a quarter more or less
const KEY_ZOOM = 1.6;
const LINE_PX = 16;

/** @param {HTMLElement} element @param {Acts} acts */
export function listenTo(element, acts) {
  /** @type {Map<number, {x: number, y: number}>} the fingers, or the mouse button, that are down */
  const down = new Map();
  let moved = 0;
  const x = (/** @type {{clientX: number}} */ event) => event.clientX - element.getBoundingClientRect().left;
  const spread = () => {
    const [a, b] = [...down.values()];
    return { width: Math.max(20, Math.abs(a.x - b.x)), middle: (a.x + b.x) / 2 };
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button) return;
    if (!down.size) moved = 0;
    down.set(event.pointerId, { x: x(event), y: event.clientY });
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    const at = { x: x(event), y: event.clientY };
    if (!before) return acts.point(at.x);
    if (down.size === 2) {
      const was = spread();
      down.set(event.pointerId, at);
      const is = spread();
      moved = Infinity;
      acts.pan(was.middle - is.middle);
      acts.zoom(was.width / is.width, is.middle);
      return;
    }
    if (moved < CLICK_PX && Math.abs(at.x - before.x) < CLICK_PX) return; // not yet a drag
    moved = Infinity;
    down.set(event.pointerId, at);
    element.dataset.dragged = "";
    acts.pan(before.x - at.x);
    acts.point(at.x);
  });
  element.addEventListener("pointerup", (event) => {
    if (!down.delete(event.pointerId)) return;
    if (down.size) return;
    delete element.dataset.dragged;
    acts.point(x(event));
    if (moved < CLICK_PX) acts.seek(x(event));
  });
  element.addEventListener("pointercancel", (event) => {
    down.delete(event.pointerId);
    moved = Infinity;
    delete element.dataset.dragged;
  });
  element.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !down.size) acts.point(null);
  });

  element.addEventListener(
    "wheel",
    (event) => {
      const unit = event.deltaMode === 1 ? LINE_PX : event.deltaMode === 2 ? element.clientWidth : 1; // Firefox counts lines
      const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
      if (event.ctrlKey || event.metaKey) acts.zoom(Math.exp(Math.max(-300, Math.min(300, dy)) * WHEEL_ZOOM), x(event)); // a trackpad's pinch comes so, too
      else if (event.shiftKey) acts.pan(dx || dy);
      else if (Math.abs(dx) > Math.abs(dy)) acts.pan(dx);
      else return;
      event.preventDefault();
    },
    { passive: false },
  );

  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key] ?? (event.shiftKey ? shifted : plain)[event.key];
    if (!act) return;
    event.preventDefault();
    act(acts);
  });
}

/** @type {Record<string, (acts: Acts) => void>} */
const plain = { ArrowLeft: (a) => a.step(-1 / 60), ArrowRight: (a) => a.step(1 / 60), ArrowDown: (a) => a.step(-1 / 60), ArrowUp: (a) => a.step(1 / 60) };

/** @type {Record<string, (acts: Acts) => void>} */
const shifted = { ArrowLeft: (a) => a.shift(-0.1), ArrowRight: (a) => a.shift(0.1) };

/** @type {Record<string, (acts: Acts) => void>} */
const keys = {
  PageUp: (a) => a.step(-0.8),
  PageDown: (a) => a.step(0.8),
  Home: (a) => a.edge(false),
  End: (a) => a.edge(true),
  "+": (a) => a.zoom(1 / KEY_ZOOM),
  "=": (a) => a.zoom(1 / KEY_ZOOM),
  "-": (a) => a.zoom(KEY_ZOOM),
  0: (a) => a.fit(),
  l: (a) => a.follow(),
  L: (a) => a.follow(),
  Enter: (a) => a.choose(),
  " ": (a) => a.choose(),
  Escape: (a) => a.leave(),
};
