// The outlines of the garments on a photo, as SVG in the photo's own pixels.

import { isNew, percent } from "/dom.js";
import { lightShape, makeChip, makeShape } from "/shapes.js";
import { state } from "/state.js";

// Fills `svg` with the garments that are shown, the largest first, so that small ones lie on top.
// `wire` gets each group, for events.
export function drawOverlay(svg, photo, wire = () => {}) {
  if (isNew(svg, whatIsShown(photo), state.opacity)) {
    const garments = [...state.shown(photo)].sort((a, b) => b.area - a.area);
    svg.setAttribute("viewBox", `0 0 ${photo.width || 1} ${photo.height || 1}`);
    svg.replaceChildren(
      ...garments.map((garment) => {
        const line = garment.outlines.map(asPath).join("");
        const group = makeShape({ id: garment.id, line, colour: state.colour(garment), opacity: state.opacity });
        wire(group, garment);
        return group;
      }),
    );
  }
  lightUp(svg, photo);
}

// Values that change when other garments are shown; for `isNew`.
export function whatIsShown(photo) {
  return [photo.key, photo.version, photo.width, photo.height, state.shown(photo).map((one) => one.id)];
}

// Marks the highlighted garment in an overlay, and in whatever lies beside it in the same box.
export function lightUp(svg, photo) {
  lightShape(svg, state.lit?.photo === photo ? state.lit.id : null);
}

// The names of the garments, at the upper left corner of their boxes.
export function makeChips(photo) {
  return state.shown(photo).map((garment) => {
    const [x, y] = garment.bbox;
    const words = [garment.class, percent(garment.score)];
    return makeChip({ id: garment.id, colour: state.colour(garment), words, x: x / photo.width, y: y / photo.height });
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
