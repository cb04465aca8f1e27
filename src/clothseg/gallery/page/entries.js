// The entries of a gallery, as the data file has them (`gallery/data.py` explains it), and which of them are shown.

import { percent } from "/dom.js";

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Map([...DIGITS].map((digit, value) => [digit, value]));
const collator = new Intl.Collator(undefined, { numeric: true });

export class Entries {
  filter = { text: "", score: null, size: 0, off: new Set(), show: "with", order: "given" };

  constructor(data) {
    this.scored = data.scored;
    this.frames = data.frames; // whether boxes are drawn beside outlines
    this.lines = data.lines; // whether outlines are drawn at all
    this.things = data.things;
    this.classes = data.classes.map(([name, colour, least], id) => ({ id, name, colour, least }));
    this.all = data.entries.map((row, position) => new Entry(row, position, this.classes));
  }

  // The objects of an entry that the filter lets through.
  objects(entry) {
    const { score, size, off } = this.filter;
    return entry.objects.filter(
      (one) => !off.has(one.kind.id) && one.share >= size && (!this.scored || one.score >= (score ?? one.kind.least)),
    );
  }

  // The entries that are shown, in their order, each with its objects.
  shown() {
    const text = this.filter.text.trim().toLowerCase();
    const found = [];
    for (const entry of this.all) {
      if (text && !entry.name.toLowerCase().includes(text)) continue;
      const objects = this.objects(entry);
      if (this.filter.show === "all" || (this.filter.show === "with") === objects.length > 0) found.push({ entry, objects });
    }
    return found.sort(ORDERS[this.filter.order]);
  }
}

const best = ({ objects }) => objects.reduce((most, one) => Math.max(most, one.score), -1);
const least = ({ objects }) => objects.reduce((low, one) => Math.min(low, one.score), 2);
const inOrder = (a, b) => a.entry.position - b.entry.position;
const ORDERS = {
  given: inOrder,
  name: (a, b) => collator.compare(a.entry.name, b.entry.name) || inOrder(a, b),
  best: (a, b) => best(b) - best(a) || inOrder(a, b),
  least: (a, b) => least(a) - least(b) || inOrder(a, b),
  most: (a, b) => b.objects.length - a.objects.length || inOrder(a, b),
};

const LONG_SIDE = 1024; // steps of the grid of outlines and boxes, on a picture's long side

// An entry; `width` and `height` are in steps of the grid.
class Entry {
  constructor([name, width, height, thumbnail, photo, drawn, links, text, objects], position, classes) {
    const scale = LONG_SIDE / Math.max(width, height, 1);
    this.pixels = `${width} × ${height} pixels`;
    Object.assign(this, { name, thumbnail, photo, drawn, links, text, position });
    Object.assign(this, { width: width * scale, height: height * scale });
    this.objects = objects.map(([kind, score, share, box, outlines], id) => ({
      id,
      kind: classes[kind],
      score: score / 1e4,
      share: share / 1e4,
      box,
      outlines,
    }));
  }

  // What the entry shows, in words.
  inWords(objects, scored) {
    const names = objects.map((one) => (scored ? `${one.kind.name} ${percent(one.score)}` : one.kind.name));
    return [`${this.name}: ${names.join(", ") || "nothing shown"}`, this.text].filter(Boolean).join(". ");
  }
}

// The outlines of an object as the `d` of a path; its box if there are none.
export function pathOf({ box, outlines }) {
  if (!outlines) return framePath(box);
  return outlines
    .split(" ")
    .map((ring) => {
      let x = 0;
      let y = 0;
      let text = "";
      const steps = decodeNumbers(ring);
      for (let i = 0; i < steps.length; i += 2) {
        x += steps[i];
        y += steps[i + 1];
        text += `${i ? "L" : "M"}${x} ${y}`;
      }
      return `${text}Z`;
    })
    .join("");
}

export function framePath([x, y, width, height]) {
  return `M${x} ${y}h${width}v${height}h${-width}Z`;
}

// Numbers in base-64 VLQ: five bits in each character, the lowest first; the lowest bit of all is the sign.
// Source: Source Map Revision 3, "mappings".
function decodeNumbers(text) {
  const numbers = [];
  let value = 0;
  let shift = 0;
  for (const character of text) {
    const digit = VALUES.get(character);
    value += (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    value = shift = 0;
  }
  return numbers;
}
