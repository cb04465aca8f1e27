// One picture in a stage that zooms and moves: plus, minus, a pinch, the wheel or a double click zoom; dragging moves.

import { make } from "/dom.js";

const MOST = 12; // times the fitted size
const STEP = 1.4;
const CLICK = 6; // pixels that a pointer may move and still click
const MOVE = 60; // pixels that an arrow key moves
const SWIPE = 60; // pixels that a finger moves to get to another picture

export class Zoom {
  #view = { zoom: 1, x: 0, y: 0 };
  #fitted = { width: 1, height: 1 };
  #pointers = new Map();
  #travelled = 0;
  #sideways = 0;

  // `size` returns the width and height of the picture. Optional: `onZoom` gets the zoom after each change, `freeWheel`
  // is whether the wheel zooms without Ctrl, `still` selects parts of the stage that do not move, and `onSwipe` gets 1
  // or -1 when a finger moves to the left or right over the fitted picture. Keys go to `key`.
  constructor(stage, canvas, { size, onZoom = () => {}, freeWheel = false, still = ".pill", onSwipe = () => {} }) {
    Object.assign(this, { stage, canvas, size, onZoom, freeWheel, still, onSwipe });
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => {
      if (event.target.closest(`.shape, ${still}`)) return;
      this.zoomTo(this.#view.zoom > 1 ? 1 : 2.5, ...this.#inStage(event));
    });
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    stage.addEventListener("pointerup", (event) => this.#up(event));
    stage.addEventListener("pointercancel", (event) => this.#pointers.delete(event.pointerId));
    new ResizeObserver(() => this.fit()).observe(stage);
  }

  get zoom() {
    return this.#view.zoom;
  }

  // Whether the pointer was only pressed, not moved.
  get clicked() {
    return this.#travelled <= CLICK;
  }

  // Shows the whole picture.
  reset() {
    this.#view = { zoom: 1, x: 0, y: 0 };
    this.fit();
  }

  // The largest size of the picture in the stage.
  fit() {
    const { width, height } = this.size();
    const scale = Math.min(this.stage.clientWidth / width, this.stage.clientHeight / height);
    this.#fitted = { width: width * scale, height: height * scale };
    this.canvas.style.width = `${this.#fitted.width}px`;
    this.canvas.style.height = `${this.#fitted.height}px`;
    this.#place();
  }

  closer() {
    this.zoomTo(this.zoom * STEP);
  }

  farther() {
    this.zoomTo(this.zoom / STEP);
  }

  // Zooms around a point of the stage, which stays where it is.
  zoomTo(zoom, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const view = this.#view;
    const next = Math.min(Math.max(zoom, 1), MOST);
    view.x = x - ((x - view.x) * next) / view.zoom;
    view.y = y - ((y - view.y) * next) / view.zoom;
    view.zoom = next;
    this.#place();
  }

  // Returns whether the key did something here.
  key(event) {
    const view = this.#view;
    const keys = {
      "+": () => this.closer(),
      "=": () => this.closer(),
      "-": () => this.farther(),
      0: () => this.zoomTo(1),
      ArrowLeft: () => (view.x += MOVE),
      ArrowRight: () => (view.x -= MOVE),
      ArrowUp: () => (view.y += MOVE),
      ArrowDown: () => (view.y -= MOVE),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key.startsWith("Arrow") && view.zoom === 1) return false;
    event.preventDefault();
    keys[event.key]();
    this.#place();
    return true;
  }

  // Moves the canvas; it never leaves a gap that it could fill.
  #place() {
    const view = this.#view;
    const inside = (at, size, room) => (size <= room ? (room - size) / 2 : Math.min(Math.max(at, room - size), 0));
    view.x = inside(view.x, this.#fitted.width * view.zoom, this.stage.clientWidth);
    view.y = inside(view.y, this.#fitted.height * view.zoom, this.stage.clientHeight);
    this.canvas.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
    this.canvas.style.setProperty("--z", view.zoom);
    this.stage.classList.toggle("zoomed", view.zoom > 1);
    this.onZoom(view.zoom);
  }

  #inStage(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #wheel(event) {
    if (!this.freeWheel && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const pixels = event.deltaMode ? event.deltaY * 30 : event.deltaY;
    this.zoomTo(this.zoom * Math.exp(-pixels / (event.ctrlKey ? 200 : 400)), ...this.#inStage(event));
  }

  #down(event) {
    if (event.target.closest(this.still)) return;
    this.#pointers.set(event.pointerId, this.#inStage(event));
    if (this.#pointers.size === 1) this.#travelled = this.#sideways = 0;
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#inStage(event);
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.#pointers.set(event.pointerId, now);
    this.#travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
    this.#sideways += now[0] - before[0];
    if (this.#travelled > CLICK && !this.stage.hasPointerCapture(event.pointerId)) {
      this.stage.setPointerCapture(event.pointerId);
    }
    if (other) {
      const spread = (point) => Math.max(Math.hypot(point[0] - other[0], point[1] - other[1]), 1);
      this.zoomTo((this.zoom * spread(now)) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      this.#sideways = 0;
    } else if (this.zoom > 1) {
      this.#view.x += now[0] - before[0];
      this.#view.y += now[1] - before[1];
      this.#place();
    }
  }

  #up(event) {
    const alone = this.#pointers.size === 1 && this.#pointers.delete(event.pointerId);
    this.#pointers.delete(event.pointerId);
    if (!alone || event.pointerType !== "touch" || this.zoom > 1 || Math.abs(this.#sideways) < SWIPE) return;
    this.onSwipe(this.#sideways < 0 ? 1 : -1);
  }
}

// Buttons that zoom out, fit and zoom in; `zoom` returns what they act on. The result names the one in the middle.
export function zoomButtons(group, zoom) {
  const button = (id, text, label, onclick, more = "") =>
    make("button", { type: "button", id: `${group.id}-${id}`, class: `button small${more}`, "aria-label": label, text, onclick });
  const fit = button("fit", "Fit", "Fit the photo into the window", () => zoom().zoomTo(1));
  group.append(
    button("out", "−", "Zoom out", () => zoom().farther(), " icon"),
    fit,
    button("in", "+", "Zoom in", () => zoom().closer(), " icon"),
  );
  return (value) => (fit.textContent = value > 1 ? `${Math.round(100 * value)} %` : "Fit");
}
