// All photos as cards.

import { byId, counted, isNew, make, makeSvg } from "/dom.js";
import { drawOverlay, inWords } from "/overlay.js";
import { fitFrame } from "/shapes.js";
import { state } from "/state.js";

const cards = new Map(); // by the photo's key

export function drawGallery() {
  const keys = new Set(state.photos.map((photo) => photo.key));
  for (const key of cards.keys()) if (!keys.has(key)) cards.delete(key);
  const nodes = state.photos.map((photo) => {
    if (!cards.has(photo.key)) cards.set(photo.key, new Card(photo));
    return cards.get(photo.key).draw();
  });
  const gallery = byId("gallery");
  if (gallery.children.length !== nodes.length || nodes.some((node, i) => gallery.children[i] !== node)) {
    gallery.replaceChildren(...nodes);
  }
}

class Card {
  constructor(photo) {
    this.photo = photo;
    this.image = make("img", { alt: "", loading: "lazy", draggable: "false" });
    this.overlay = makeSvg("svg", { class: "overlay", "aria-hidden": "true" });
    this.fit = make("span", { class: "fit" }, this.image, this.overlay);
    this.state = make("span", { class: "state" });
    this.button = make(
      "button",
      { type: "button", class: "card", onclick: () => state.show(photo) },
      make("span", { class: "frame" }, this.fit),
      make("span", { class: "title", text: photo.name }),
      this.state,
    );
    const remove = make("button", {
      type: "button",
      class: "button small icon remove",
      "aria-label": `Remove ${photo.name}`,
      text: "×",
      onclick: () => this.remove(),
    });
    this.node = make("li", {}, this.button, remove);
  }

  remove() {
    const next = this.node.nextElementSibling ?? this.node.previousElementSibling;
    state.remove(this.photo);
    (next?.querySelector(".card") ?? byId("choose")).focus();
  }

  draw() {
    const photo = this.photo;
    if (photo.thumbnail && this.image.src !== photo.thumbnail) this.image.src = photo.thumbnail;
    this.image.hidden = !photo.thumbnail;
    if (photo.width) fitFrame(this.fit, photo.width, photo.height);
    drawOverlay(this.overlay, photo);
    this.button.setAttribute("aria-label", `${inWords(photo)}. ${inState(photo)}`);
    if (!isNew(this.state, photo.status, inState(photo))) return this.node;
    const busy = photo.status === "waiting" || photo.status === "working";
    const words = make("span", { text: inState(photo), class: photo.status === "error" ? "error" : "" });
    this.state.replaceChildren(...(busy ? [make("span", { class: "spinner" }), words] : [words]));
    return this.node;
  }
}

function inState(photo) {
  if (photo.status === "done") return counted(state.shown(photo).length, "garment");
  return { waiting: "Waiting", working: "Finding garments", error: photo.error }[photo.status];
}
