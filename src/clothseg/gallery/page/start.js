// Starts a gallery: its filters, its cards and the large view.

import { byId, counted, make, percent } from "/dom.js";
import { Entries } from "/entries.js";
import { Grid } from "/grid.js";
import { Lightbox } from "/lightbox.js";

function startGallery(data) {
  const entries = new Entries(data);
  const { filter } = entries;
  let open = -1; // position of the item in the large view

  const show = (position) => {
    open = (position + grid.items.length) % grid.items.length;
    light.show(grid.items[open], `${open + 1} of ${grid.items.length}`);
  };
  const grid = new Grid(byId("cards"), entries, show);
  const light = new Lightbox(entries, (by) => show(open + by), () => grid.focus(open));

  const draw = () => {
    const items = entries.shown();
    const objects = items.reduce((sum, item) => sum + item.objects.length, 0);
    const [object, several, one, many] = entries.things;
    const inside = entries.lines ? `, ${objects} ${objects === 1 ? object : several}` : "";
    byId("gallery-count").textContent =
      `${items.length} of ${entries.all.length} ${entries.all.length === 1 ? one : many}${inside}`;
    byId("gallery-empty").hidden = items.length > 0;
    grid.show(items);
    drawClassCounts(entries);
  };
  const any = entries.all.some((entry) => entries.objects(entry).length);
  if (byId("show") && !any) filter.show = byId("show").value = "all";
  setUpFilters(entries, draw);
  draw();
  document.body.dataset.ready = "yes";
}

function setUpFilters(entries, draw) {
  const { filter } = entries;
  const listen = (id, set) =>
    byId(id)?.addEventListener("input", (event) => {
      set(event.target.value);
      drawValues(entries);
      draw();
    });
  listen("name", (value) => (filter.text = value));
  listen("score", (value) => (filter.score = Number(value)));
  listen("size", (value) => (filter.size = (Number(value) / 100) ** 2));
  listen("show", (value) => (filter.show = value));
  listen("order", (value) => (filter.order = value));
  byId("classes").replaceChildren(...entries.classes.map((one) => make("li", {}, classRow(one, filter, draw))));
  for (const [id, off] of [["classes-all", false], ["classes-none", true]]) {
    byId(id).addEventListener("click", () => {
      for (const box of byId("classes").querySelectorAll("input")) box.checked = !off;
      filter.off = new Set(off ? entries.classes.map((one) => one.id) : []);
      draw();
    });
  }
  drawValues(entries);
  const narrow = matchMedia("(max-width: 860px)");
  const fold = () => (byId("filters").open = !narrow.matches);
  narrow.addEventListener("change", fold);
  fold();
}

function drawValues({ filter, scored, classes }) {
  byId("size-value").textContent = `${percentOf(filter.size)} of the photo`;
  if (!scored) return;
  const first = classes.length ? Math.min(...classes.map((one) => one.least)) : 0;
  const own = filter.score === null && classes.some((one) => one.least !== first);
  if (filter.score === null) byId("score").value = first;
  byId("score-value").textContent = own ? "by class" : (filter.score ?? first).toFixed(2);
}

const percentOf = (share) => (share < 0.1 ? `${(100 * share).toFixed(1)} %` : percent(share));

function classRow(one, filter, draw) {
  const box = make("input", { type: "checkbox", checked: true });
  box.addEventListener("change", () => {
    if (box.checked) filter.off.delete(one.id);
    else filter.off.add(one.id);
    draw();
  });
  const swatch = make("span", { class: "swatch" });
  swatch.style.background = one.colour;
  const name = make("span", { class: "name", text: one.name, title: one.name, dir: "auto" });
  return make("label", { class: "row", "data-class": one.id }, box, swatch, name, make("span", { class: "count" }));
}

// How many objects of each class the other filters let through.
function drawClassCounts(entries) {
  const counts = new Map();
  const off = entries.filter.off;
  entries.filter.off = new Set();
  for (const entry of entries.all) {
    for (const one of entries.objects(entry)) counts.set(one.kind.id, (counts.get(one.kind.id) ?? 0) + 1);
  }
  entries.filter.off = off;
  for (const row of byId("classes").querySelectorAll(".row")) {
    row.classList.toggle("off", off.has(Number(row.dataset.class)));
    row.querySelector(".count").textContent = counts.get(Number(row.dataset.class)) ?? 0;
  }
}

const inPage = byId("gallery-data");
const found = inPage ? JSON.parse(inPage.textContent) : globalThis.clothsegGallery;
if (found) startGallery(found);
else {
  byId("gallery-count").textContent = "The data of this page is missing: keep the folder “gallery” beside it.";
  document.body.dataset.ready = "no";
}
