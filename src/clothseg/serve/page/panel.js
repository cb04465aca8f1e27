// The controls beside the photos: score, opacity, classes, and the garments on the open photo.

import { byId, counted, isNew, make, percent } from "/dom.js";
import { whatIsShown } from "/overlay.js";
import { state } from "/state.js";

let openGarment = () => {};

export function setUpPanel(listener) {
  openGarment = listener;
  const score = byId("score");
  const opacity = byId("opacity");
  opacity.value = state.opacity;
  score.addEventListener("input", () => {
    state.score = Number(score.value);
    state.moved = true;
    state.tell("filter");
  });
  opacity.addEventListener("input", () => {
    state.opacity = Number(opacity.value);
    state.tell("filter");
  });
}

export function drawPanel() {
  if (!state.moved) byId("score").value = state.score;
  byId("score-value").textContent = state.score.toFixed(2);
  byId("opacity-value").textContent = percent(state.opacity);
  const own = state.model.classes.some((one) => one.score_threshold !== state.model.score_threshold);
  byId("score-note").hidden = state.moved || !own;
  byId("score-note").textContent = "Some classes begin with their own best score. Move the slider for one score.";
  drawClasses();
  drawGarments();
}

export function drawLitRow() {
  for (const row of byId("garments").querySelectorAll(".row")) {
    row.classList.toggle("lit", state.open !== null && state.isLit(state.open, Number(row.dataset.id)));
  }
}

// Rows keep their elements, so that the keyboard's focus stays where it is.
function drawClasses() {
  const list = byId("classes");
  if (isNew(list, state.model.classes)) list.replaceChildren(); // another network
  const photos = state.open ? [state.open] : state.photos;
  for (const one of state.model.classes) {
    let row = list.querySelector(`[data-class="${one.id}"]`);
    if (!row) {
      row = classRow(one);
      list.append(make("li", {}, row));
    }
    const count = photos.flatMap((photo) => photo.instances).filter((g) => g.class_id === one.id && state.passesScore(g));
    row.classList.toggle("off", state.off.has(one.id));
    row.querySelector(".count").textContent = count.length;
  }
}

function classRow(one) {
  const box = make("input", { type: "checkbox", checked: true });
  box.addEventListener("change", () => {
    if (box.checked) state.off.delete(one.id);
    else state.off.add(one.id);
    state.tell("filter");
  });
  const swatch = make("span", { class: "swatch" });
  swatch.style.background = one.colour;
  const name = make("span", { class: "name", text: one.name, dir: "auto" });
  return make("label", { class: "row", "data-class": one.id }, box, swatch, name, make("span", { class: "count" }));
}

function drawGarments() {
  const photo = state.open;
  byId("garments-part").hidden = !photo || photo.status === "error";
  if (!photo) return;
  const garments = state.shown(photo);
  const list = byId("garments");
  const focused = document.activeElement?.closest("#garments .row")?.dataset.id;
  if (isNew(list, whatIsShown(photo))) {
    list.replaceChildren(...garments.map((garment) => make("li", {}, garmentRow(photo, garment))));
    if (focused != null) list.querySelector(`[data-id="${focused}"]`)?.focus();
  }
  const empty = byId("garments-empty");
  empty.hidden = photo.status !== "done" || garments.length > 0;
  const hidden = photo.instances.length;
  empty.textContent = hidden
    ? `Nothing to show. ${counted(hidden, "garment")} with a lower score, or of a class that is off.`
    : "The network found nothing on this photo.";
}

function garmentRow(photo, garment) {
  const swatch = make("span", { class: "swatch" });
  swatch.style.background = state.colour(garment);
  const bar = make("i");
  bar.style.width = percent(garment.score).replace(" ", "");
  const row = make(
    "button",
    { type: "button", class: "row", "data-id": garment.id },
    swatch,
    make("span", { class: "name", text: garment.class, dir: "auto" }),
    make("span", { class: "meter", "aria-hidden": "true" }, bar),
    make("span", { class: "count", text: percent(garment.score) }),
  );
  row.setAttribute("aria-label", `${garment.class}, score ${percent(garment.score)}. Show the cut-out`);
  for (const name of ["pointerenter", "focus"]) row.addEventListener(name, () => state.light(photo, garment.id));
  for (const name of ["pointerleave", "blur"]) row.addEventListener(name, () => state.light(null));
  row.addEventListener("click", () => openGarment(photo, garment));
  return row;
}
