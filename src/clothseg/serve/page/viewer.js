// One photo, with its garments. Plus, minus, a pinch, Ctrl and the wheel or a double click zoom; dragging moves.

import { byId, make, makeSvg } from "/dom.js";
import { drawOverlay, inWords, lightUp, makeChips } from "/overlay.js";
import { state } from "/state.js";

const MOST = 12; // times the fitted size
const STEP = 1.4;
const CLICK = 6; // pixels that a pointer may move and still click

const stage = byId("stage");
const picture = make("img", { alt: "", draggable: "false" });
const overlay = makeSvg("svg", { class: "overlay", "aria-hidden": "true" });
const chips = make("div", { class: "chips", "aria-hidden": "true" });
const canvas = make("div", { class: "canvas" }, picture, overlay, chips);
const pill = make("div", { class: "pill" });
stage.append(canvas, pill);

let view = { zoom: 1, x: 0, y: 0 };
let fitted = { width: 1, height: 1 };
let openGarment = () => {};
const pointers = new Map();
let travelled = 0;

export function onOpen(listener) {
  openGarment = listener;
}

export function showPhoto() {
  const photo = state.open;
  if (!photo) return;
  picture.src = photo.address;
  picture.alt = inWords(photo);
  view = { zoom: 1, x: 0, y: 0 };
  fit();
  drawPhoto();
}

export function drawPhoto() {
  const photo = state.open;
  if (!photo) return;
  if (picture.src !== photo.address) picture.src = photo.address;
  picture.alt = inWords(photo);
  drawOverlay(overlay, photo, wire);
  chips.replaceChildren(...(photo.width ? makeChips(photo) : []));
  lightUp(overlay, photo);
  drawPill(photo);
}

export function drawLit() {
  if (state.open) lightUp(overlay, state.open);
}

function wire(group, garment) {
  const photo = state.open;
  group.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && state.light(photo, garment.id));
  group.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && state.light(null));
  group.addEventListener("click", (event) => {
    if (travelled > CLICK) return;
    event.stopPropagation();
    // A finger has no hover: its first tap highlights, the second opens.
    if (event.pointerType === "touch" && !state.isLit(photo, garment.id)) state.light(photo, garment.id);
    else openGarment(photo, garment);
  });
}

function drawPill(photo) {
  pill.hidden = photo.status === "done";
  pill.classList.toggle("error", photo.status === "error");
  if (photo.status === "error") {
    const again = make("button", { type: "button", class: "button small", text: "Try again" });
    again.addEventListener("click", () => state.again(photo));
    pill.replaceChildren(make("b", { text: "Not read" }), make("span", { text: photo.error }), again);
  } else {
    const words = photo.status === "working" ? "Finding garments …" : "Waiting …";
    pill.replaceChildren(make("span", { class: "spinner" }), make("span", { text: words }));
  }
}

// The largest size of the photo in the stage.
function fit() {
  const photo = state.open;
  const width = photo?.width || picture.naturalWidth || 1;
  const height = photo?.height || picture.naturalHeight || 1;
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  fitted = { width: width * scale, height: height * scale };
  canvas.style.width = `${fitted.width}px`;
  canvas.style.height = `${fitted.height}px`;
  place();
}

// Moves the canvas; it never leaves a gap that it could fill.
function place() {
  const inside = (offset, size, room) => (size <= room ? (room - size) / 2 : Math.min(Math.max(offset, room - size), 0));
  view.x = inside(view.x, fitted.width * view.zoom, stage.clientWidth);
  view.y = inside(view.y, fitted.height * view.zoom, stage.clientHeight);
  canvas.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
  canvas.style.setProperty("--z", view.zoom);
  stage.classList.toggle("zoomed", view.zoom > 1);
  byId("zoom-fit").textContent = view.zoom > 1 ? `${Math.round(100 * view.zoom)} %` : "Fit";
}

// Zooms around a point of the stage, which stays where it is.
function zoomTo(zoom, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const next = Math.min(Math.max(zoom, 1), MOST);
  view.x = x - ((x - view.x) * next) / view.zoom;
  view.y = y - ((y - view.y) * next) / view.zoom;
  view.zoom = next;
  place();
}

function inStage(event) {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

byId("zoom-in").addEventListener("click", () => zoomTo(view.zoom * STEP));
byId("zoom-out").addEventListener("click", () => zoomTo(view.zoom / STEP));
byId("zoom-fit").addEventListener("click", () => zoomTo(1));

stage.addEventListener("keydown", (event) => {
  const move = 60;
  const keys = {
    "+": () => zoomTo(view.zoom * STEP),
    "=": () => zoomTo(view.zoom * STEP),
    "-": () => zoomTo(view.zoom / STEP),
    0: () => zoomTo(1),
    ArrowLeft: () => (view.x += move),
    ArrowRight: () => (view.x -= move),
    ArrowUp: () => (view.y += move),
    ArrowDown: () => (view.y -= move),
  };
  if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
  if (event.key.startsWith("Arrow") && view.zoom === 1) return;
  event.preventDefault();
  keys[event.key]();
  place();
});

stage.addEventListener(
  "wheel",
  (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomTo(view.zoom * Math.exp(-event.deltaY / 200), ...inStage(event));
  },
  { passive: false },
);

stage.addEventListener("dblclick", (event) => {
  if (event.target.closest(".shape, .pill")) return;
  zoomTo(view.zoom > 1 ? 1 : 2.5, ...inStage(event));
});

stage.addEventListener("click", (event) => {
  if (!event.target.closest(".pill") && travelled <= CLICK) state.light(null);
});

stage.addEventListener("pointerdown", (event) => {
  if (event.target.closest(".pill")) return;
  pointers.set(event.pointerId, inStage(event));
  if (pointers.size === 1) travelled = 0;
});

stage.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const now = inStage(event);
  const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
  pointers.set(event.pointerId, now);
  travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
  if (travelled > CLICK && !stage.hasPointerCapture(event.pointerId)) stage.setPointerCapture(event.pointerId);
  if (other) {
    const spread = (point) => Math.max(Math.hypot(point[0] - other[0], point[1] - other[1]), 1);
    zoomTo((view.zoom * spread(now)) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  } else if (view.zoom > 1) {
    view.x += now[0] - before[0];
    view.y += now[1] - before[1];
    place();
  }
});

for (const name of ["pointerup", "pointercancel"]) {
  stage.addEventListener(name, (event) => pointers.delete(event.pointerId));
}
picture.addEventListener("load", fit);
new ResizeObserver(fit).observe(stage);
