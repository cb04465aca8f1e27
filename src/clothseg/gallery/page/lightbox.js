// One photo in a dialog: large, with its outlines, its objects and its files.

import { byId, make, makeSvg, percent } from "/dom.js";
import { shapes } from "/grid.js";
import { lightShape, makeChip } from "/shapes.js";
import { Zoom, zoomButtons } from "/zoom.js";

export class Lightbox {
  #item = null;
  #lines = true;

  // `step` is called with 1 or -1 to show the next or the previous photo, `onClose` when the dialog closes.
  constructor(entries, step, onClose) {
    Object.assign(this, { entries, step });
    this.dialog = byId("light");
    this.stage = byId("light-stage");
    this.image = make("img", { alt: "", draggable: "false" });
    this.overlay = makeSvg("svg", { class: "overlay", "aria-hidden": "true" });
    this.chips = make("div", { class: "chips", "aria-hidden": "true" });
    this.canvas = make("div", { class: "canvas" }, this.image, this.overlay, this.chips);
    this.pill = make("div", { class: "pill error", role: "status" });
    this.stage.append(this.canvas, this.pill);
    const setZoom = zoomButtons(byId("light-zoom"), () => this.zoom);
    this.zoom = new Zoom(this.stage, this.canvas, {
      size: () => this.#item?.entry ?? { width: 1, height: 1 },
      onZoom: setZoom,
      freeWheel: true,
      onSwipe: step,
    });
    this.dialog.addEventListener("keydown", (event) => this.#key(event));
    this.dialog.addEventListener("close", () => {
      this.#item = null;
      this.image.removeAttribute("src");
      onClose();
    });
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    byId("light-close").addEventListener("click", () => this.dialog.close());
    byId("light-previous").addEventListener("click", () => step(-1));
    byId("light-next").addEventListener("click", () => step(1));
    byId("light-lines").addEventListener("click", () => this.#toggleLines());
  }

  // Shows an item that has a place among those shown, such as "3 of 12".
  show(item, place) {
    this.#item = item;
    const { entry, objects } = item;
    byId("light-title").textContent = entry.name;
    byId("light-facts").textContent = `${place}, ${entry.pixels}`;
    byId("light-text").textContent = entry.text;
    this.#drawLinks(entry);
    this.#drawObjects(entry, objects);
    this.overlay.setAttribute("viewBox", `0 0 ${entry.width} ${entry.height}`);
    this.overlay.replaceChildren(...shapes(objects, this.entries));
    this.chips.replaceChildren(...objects.map((one) => this.#chip(entry, one)));
    for (const node of this.overlay.children) {
      node.addEventListener("pointerenter", () => this.#light(Number(node.dataset.id)));
      node.addEventListener("pointerleave", () => this.#light(null));
    }
    this.#load(item);
    if (!this.dialog.open) this.dialog.showModal();
    this.zoom.reset();
  }

  // The photo if it is what it was, or else the drawn picture, or else the thumbnail.
  async #load(item) {
    const { entry, objects } = item;
    this.pill.hidden = true;
    this.image.alt = entry.inWords(objects, this.entries.scored);
    if (entry.thumbnail) this.image.src = entry.thumbnail;
    else this.image.removeAttribute("src");
    this.#showLines(this.entries.lines && !entry.drawn.startsWith("data:"));
    if (entry.photo) {
      const fit = await fits(entry.photo, entry);
      if (this.#item !== item) return;
      if (fit) {
        this.image.src = entry.photo;
        this.#showLines(true);
        return;
      }
    }
    if (entry.drawn) {
      this.image.src = entry.drawn;
      this.#showLines(false);
    }
    this.pill.hidden = !entry.photo;
    this.pill.textContent = "The photo cannot be shown: it was moved or changed, or the browser does not know its format.";
  }

  #showLines(possible) {
    byId("light-lines").disabled = !possible;
    this.canvas.classList.toggle("bare", !possible || !this.#lines);
  }

  #toggleLines() {
    this.#lines = !this.#lines;
    byId("light-lines").setAttribute("aria-pressed", this.#lines);
    this.canvas.classList.toggle("bare", !this.#lines);
  }

  #chip(entry, one) {
    const words = this.entries.scored ? [one.kind.name, percent(one.score)] : [one.kind.name];
    const [x, y] = one.box;
    return makeChip({ id: one.id, colour: one.kind.colour, words, x: x / entry.width, y: y / entry.height });
  }

  #drawObjects(entry, objects) {
    byId("light-objects").replaceChildren(...objects.map((one) => make("li", {}, this.#row(one))));
    const hidden = entry.objects.length - objects.length;
    byId("light-hidden").textContent = hidden ? `${hidden} more that the filter hides.` : "";
  }

  #row(one) {
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = one.kind.colour;
    const row = make(
      "button",
      { type: "button", class: "row", "data-id": one.id },
      swatch,
      make("span", { class: "name", text: one.kind.name, dir: "auto" }),
    );
    if (this.entries.scored) {
      const bar = make("i");
      bar.style.width = percent(one.score).replace(" ", "");
      row.append(make("span", { class: "meter", "aria-hidden": "true" }, bar), make("span", { class: "count", text: percent(one.score) }));
    }
    for (const name of ["pointerenter", "focus", "click"]) row.addEventListener(name, () => this.#light(one.id));
    for (const name of ["pointerleave", "blur"]) row.addEventListener(name, () => this.#light(null));
    return row;
  }

  #drawLinks(entry) {
    const links = [...(entry.photo ? [["Photo", entry.photo]] : []), ...entry.links];
    byId("light-links").replaceChildren(
      ...links.map(([text, href]) => make("li", {}, make("a", { href, text, target: "_blank", rel: "noopener" }))),
    );
  }

  #light(id) {
    lightShape(this.overlay, id);
    for (const row of byId("light-objects").querySelectorAll(".row")) {
      row.classList.toggle("lit", id !== null && row.dataset.id === String(id));
    }
  }

  #key(event) {
    if (this.zoom.key(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -1, PageDown: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    this.step(by);
  }
}

// Whether a picture can be shown and has the shape of the entry.
async function fits(source, { width, height }) {
  const picture = make("img", { src: source });
  try {
    await picture.decode();
  } catch {
    return false;
  }
  const shape = picture.naturalWidth / picture.naturalHeight;
  return Math.abs((shape * height) / width - 1) < 0.02 + 1 / Math.min(width, height);
}
