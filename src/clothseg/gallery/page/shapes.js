// Outlines and names of the objects on a picture.

import { make, makeSvg, textOn } from "/dom.js";

// An object as a group of an SVG: `line` is the `d` of a path, `id` finds the group and its name again.
export function makeShape({ id, line, colour, opacity }) {
  return makeSvg(
    "g",
    { "data-id": id },
    makeSvg("path", { d: line, class: "halo" }),
    makeSvg("path", { d: line, class: "shape", fill: colour, stroke: colour, "fill-opacity": opacity }),
  );
}

// The name of an object at a point of the picture, in 0..1 of its width and height.
export function makeChip({ id, colour, words, x, y }) {
  const chip = make("span", { class: "chip", "data-id": id }, ...words.map((text) => make("span", { text, dir: "auto" })));
  chip.style.left = `${100 * Math.min(Math.max(x, 0), 1)}%`;
  chip.style.top = `${100 * Math.min(Math.max(y, 0), 1)}%`;
  chip.style.background = colour;
  chip.style.color = textOn(colour);
  if (y < 0.06) chip.classList.add("below");
  return chip;
}

// Highlights one object in the SVG and in whatever lies beside it in the same box; null highlights none.
export function lightShape(svg, id) {
  const box = svg.parentElement;
  const any = id !== null && svg.querySelector(`[data-id="${id}"]`) !== null;
  svg.classList.toggle("has-lit", any);
  box?.classList.toggle("has-lit", any);
  for (const node of box?.querySelectorAll("[data-id]") ?? []) {
    node.classList.toggle("lit", any && node.dataset.id === String(id));
  }
}

// Gives a node in the frame of a card, 3 x 4, the largest size with the shape of a picture.
export function fitFrame(node, width, height) {
  const wide = width / height > 3 / 4;
  node.style.width = wide ? "100%" : `${(100 * width * 4) / (height * 3)}%`;
  node.style.height = wide ? `${(100 * height * 3) / (width * 4)}%` : "100%";
}
