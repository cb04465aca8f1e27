// Small helpers for elements. Text is always set as text, so that no name of a file or class becomes markup.

export const byId = (id) => document.getElementById(id);

// An element with attributes and children. `class`, `text` and `on...` functions are understood.
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function makeSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const drawn = new WeakMap();

// Whether a node was last drawn from other values. What is drawn again without a reason loses a click that has begun.
export function isNew(node, ...values) {
  const key = JSON.stringify(values);
  if (drawn.get(node) === key) return false;
  drawn.set(node, key);
  return true;
}

// Says something to a screen reader.
export function say(text) {
  byId("live").textContent = text;
}

export const counted = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;
export const percent = (score) => `${Math.round(100 * score)} %`;

// Saves a blob under a name.
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

// The name of a file without its ending, safe in a ZIP file and on every system.
export function stem(name) {
  const base = name.replace(/\.[^.]*$/, "").replace(/[<>:"/\\|?*\u0000-\u001f\u007f]/g, "_");
  return [...base].slice(0, 60).join("") || "photo"; // by characters: half an emoji is none
}

// Black or white: the one with more contrast on a colour #rrggbb (WCAG 2.2, relative luminance).
export function textOn(colour) {
  const parts = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16) / 255);
  const [red, green, blue] = parts.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#141414" : "#ffffff";
}
