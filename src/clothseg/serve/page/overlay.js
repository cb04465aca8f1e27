// The outlines of the garments on a photo, as SVG in the photo's own pixels.

import { make, makeSvg, percent, textOn } from "/dom.js";
import { state } from "/state.js";

// Fills `svg` with the garments that are shown, the largest first, so that small ones lie on top.
// `wire` gets each group, for events.
export function drawOverlay(svg, photo, wire = () => {}) {
  const garments = [...state.shown(photo)].sort((a, b) => b.area - a.area);
  svg.setAttribute("viewBox", `0 0 ${photo.width || 1} ${photo.height || 1}`);
  svg.replaceChildren(
    ...garments.map((garment) => {
      const line = garment.outlines.map(asPath).join("");
      const colour = state.colour(garment);
      const group = makeSvg(
        "g",
        { "data-id": garment.id },
        makeSvg("path", { d: line, class: "halo" }),
        makeSvg("path", { d: line, class: "shape", fill: colour, stroke: colour, "fill-opacity": state.opacity }),
      );
      wire(group, garment);
      return group;
    }),
  );
  lightUp(svg, photo);
}

// Marks the highlighted garment in an overlay, and in whatever lies beside it in the same box.
export function lightUp(svg, photo) {
  const box = svg.parentElement;
  const any = state.lit?.photo === photo && svg.querySelector(`[data-id="${state.lit.id}"]`) !== null;
  svg.classList.toggle("has-lit", any);
  box?.classList.toggle("has-lit", any);
  for (const node of box?.querySelectorAll("[data-id]") ?? []) {
    node.classList.toggle("lit", state.isLit(photo, Number(node.dataset.id)));
  }
}

// The names of the garments, at the upper left corner of their boxes.
export function makeChips(photo) {
  return state.shown(photo).map((garment) => {
    const colour = state.colour(garment);
    const [x, y] = garment.bbox;
    const chip = make("span", { class: "chip", "data-id": garment.id }, make("span", { text: garment.class }));
    chip.append(make("span", { text: percent(garment.score) }));
    chip.style.left = `${(100 * Math.max(x, 0)) / photo.width}%`;
    chip.style.top = `${(100 * Math.max(y, 0)) / photo.height}%`;
    chip.style.background = colour;
    chip.style.color = textOn(colour);
    if (y < 0.06 * photo.height) chip.classList.add("below");
    return chip;
  });
}

function asPath(points) {
  let text = "";
  for (let i = 0; i < points.length; i += 2) text += `${i ? "L" : "M"}${points[i]} ${points[i + 1]}`;
  return `${text}Z`;
}

// What a picture shows, in words.
export function inWords(photo) {
  if (photo.status !== "done") return photo.name;
  const names = state.shown(photo).map((one) => `${one.class} ${percent(one.score)}`);
  return `${photo.name}: ${names.length ? names.join(", ") : "no garment shown"}`;
}
