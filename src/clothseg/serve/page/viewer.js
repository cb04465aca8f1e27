// One photo, with its garments. `zoom.js` zooms and moves it.

import { byId, isNew, make, makeSvg } from "/dom.js";
import { drawOverlay, inWords, lightUp, makeChips, whatIsShown } from "/overlay.js";
import { state } from "/state.js";
import { Zoom, zoomButtons } from "/zoom.js";

const stage = byId("stage");
const picture = make("img", { alt: "", draggable: "false" });
const overlay = makeSvg("svg", { class: "overlay", "aria-hidden": "true" });
const chips = make("div", { class: "chips", "aria-hidden": "true" });
const canvas = make("div", { class: "canvas" }, picture, overlay, chips);
const pill = make("div", { class: "pill" });
stage.append(canvas, pill);

const setZoom = zoomButtons(byId("zoom"), () => zoom);
const zoom = new Zoom(stage, canvas, { size, onZoom: setZoom });
let openGarment = () => {};

export function onOpen(listener) {
  openGarment = listener;
}

export function showPhoto() {
  const photo = state.open;
  if (!photo) return;
  picture.src = photo.address;
  picture.alt = inWords(photo);
  zoom.reset();
  drawPhoto();
}

export function drawPhoto() {
  const photo = state.open;
  if (!photo) return;
  if (picture.src !== photo.address) picture.src = photo.address;
  picture.alt = inWords(photo);
  drawOverlay(overlay, photo, wire);
  if (isNew(chips, whatIsShown(photo))) chips.replaceChildren(...(photo.width ? makeChips(photo) : []));
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
    if (!zoom.clicked) return;
    event.stopPropagation();
    // A finger has no hover: its first tap highlights, the second opens.
    if (event.pointerType === "touch" && !state.isLit(photo, garment.id)) state.light(photo, garment.id);
    else openGarment(photo, garment);
  });
}

function drawPill(photo) {
  if (!isNew(pill, photo.key, photo.status, photo.error)) return;
  pill.hidden = photo.status === "done";
  pill.classList.toggle("error", photo.status === "error");
  if (photo.status === "error") {
    const again = make("button", { type: "button", class: "button small", text: "Try again" });
    again.addEventListener("click", () => {
      stage.focus({ preventScroll: true }); // the button vanishes
      state.again(photo);
    });
    pill.replaceChildren(make("b", { text: "Not read" }), make("span", { text: photo.error }), again);
  } else {
    const words = photo.status === "working" ? "Finding garments …" : "Waiting …";
    pill.replaceChildren(make("span", { class: "spinner" }), make("span", { text: words }));
  }
}

function size() {
  const photo = state.open;
  return {
    width: photo?.width || picture.naturalWidth || 1,
    height: photo?.height || picture.naturalHeight || 1,
  };
}

// The buttons that keys press which the zoom does not take.
const KEYS = { ArrowLeft: "previous", PageUp: "previous", ArrowRight: "next", PageDown: "next", Escape: "back" };

stage.addEventListener("keydown", (event) => {
  if (zoom.key(event) || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  const button = byId(KEYS[event.key]);
  if (button.closest("[hidden]")) return;
  event.preventDefault();
  button.click();
});
stage.addEventListener("click", (event) => {
  if (!event.target.closest(".pill") && zoom.clicked) state.light(null);
});
picture.addEventListener("load", () => {
  picture.hidden = false;
  zoom.fit();
});
picture.addEventListener("error", () => (picture.hidden = true)); // a format that the browser does not know
