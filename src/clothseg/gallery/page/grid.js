// The cards of a gallery. Only those near the window are in the page, and a picture is loaded when its card is in the
// window for a moment, so that ten thousand photos take no more than a few.

import { counted, make, makeSvg } from "/dom.js";
import { framePath, pathOf } from "/entries.js";
import { fitFrame, makeShape } from "/shapes.js";

const REST = 60; // milliseconds in the window before a picture is loaded
const LEAST = 13; // width of a card, in rem
const CAPTION = 3.1; // height of the text under a picture, in rem

export class Grid {
  #cards = new Map(); // by position in `items`
  #layout = { columns: 1, width: 0, height: 1, gap: 0 };
  #asked = false;
  items = [];
  active = 0; // the position that the keyboard is at

  constructor(list, entries, open) {
    Object.assign(this, { list, entries, open });
    const draw = () => this.#ask();
    addEventListener("scroll", draw, { passive: true });
    new ResizeObserver(() => this.#resize()).observe(list);
    addEventListener("resize", draw);
    list.addEventListener("keydown", (event) => this.#key(event));
  }

  // Shows other items: entries with their objects.
  show(items) {
    const same = this.items.length === items.length && items.every(({ entry }, i) => entry === this.items[i].entry);
    this.items = items;
    if (!same) {
      this.active = 0;
      if (this.list.getBoundingClientRect().top < 0) this.list.scrollIntoView();
    }
    for (const card of this.#cards.values()) card.node.remove();
    this.#cards.clear();
    this.#measure();
    this.#draw();
  }

  // Moves the keyboard's focus to a position, and the window to it.
  focus(position) {
    this.active = Math.min(Math.max(position, 0), this.items.length - 1);
    if (this.active < 0) return;
    this.#draw();
    const card = this.#cards.get(this.active);
    card.button.focus({ preventScroll: true });
    card.node.scrollIntoView({ block: "nearest" });
  }

  #ask() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#draw();
    });
  }

  #measure() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const gap = 1.1 * rem;
    const room = this.list.clientWidth;
    const columns = Math.max(Math.floor((room + gap) / (LEAST * rem + gap)), 2);
    const width = (room - gap * (columns - 1)) / columns;
    this.#layout = { columns, width, height: (width * 4) / 3 + CAPTION * rem + gap, gap };
    this.list.style.height = `${Math.ceil(this.items.length / columns) * this.#layout.height}px`;
  }

  // Keeps the entry at the top of the window where it is.
  #resize() {
    const before = this.#layout;
    const above = -this.list.getBoundingClientRect().top;
    this.#measure();
    const { columns, height } = this.#layout;
    if (above > 0 && (before.columns !== columns || before.height !== height)) {
      const position = Math.floor(above / before.height) * before.columns;
      scrollBy(0, Math.floor(position / columns) * height - above);
    }
    for (const [position, card] of this.#cards) this.#place(card, position);
    this.#draw();
  }

  #draw() {
    const { columns, height } = this.#layout;
    const top = -this.list.getBoundingClientRect().top;
    const firstRow = Math.floor(top / height) - 1;
    const lastRow = Math.floor((top + innerHeight) / height) + 1;
    const wanted = new Set();
    for (let at = Math.max(firstRow * columns, 0); at < Math.min((lastRow + 1) * columns, this.items.length); at++) {
      wanted.add(at);
    }
    if (this.items.length) wanted.add(this.active); // it keeps the focus
    for (const [position, card] of this.#cards) {
      if (wanted.has(position)) continue;
      card.node.remove();
      this.#cards.delete(position);
    }
    for (const position of wanted) if (!this.#cards.has(position)) this.#add(position);
    for (const [position, card] of this.#cards) {
      card.button.tabIndex = position === this.active ? 0 : -1;
      const row = Math.floor(position / columns);
      if (row > firstRow && row < lastRow) card.loadSoon();
    }
  }

  #add(position) {
    const card = new Card(this.items[position], this.entries);
    card.node.setAttribute("aria-setsize", this.items.length);
    card.node.setAttribute("aria-posinset", position + 1);
    card.button.addEventListener("focus", () => (this.active = position));
    card.button.addEventListener("click", () => this.open(position));
    this.#place(card, position);
    // The page's order is that of the entries, for readers that go from one to the next.
    const next = [...this.#cards.keys()].filter((other) => other > position).sort((a, b) => a - b)[0];
    this.list.insertBefore(card.node, this.#cards.get(next)?.node ?? null);
    this.#cards.set(position, card);
  }

  #place(card, position) {
    const { columns, width, height, gap } = this.#layout;
    const column = position % columns;
    card.node.style.width = `${width}px`;
    card.node.style.transform = `translate(${column * (width + gap)}px, ${Math.floor(position / columns) * height}px)`;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { columns, height } = this.#layout;
    const page = Math.max(Math.floor(innerHeight / height), 1) * columns;
    const rightToLeft = getComputedStyle(this.list).direction === "rtl" ? -1 : 1;
    const steps = { ArrowLeft: -rightToLeft, ArrowRight: rightToLeft, ArrowUp: -columns, ArrowDown: columns };
    Object.assign(steps, { PageUp: -page, PageDown: page, Home: -this.active, End: this.items.length - 1 - this.active });
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.focus(this.active + steps[event.key]);
  }
}

class Card {
  #timer = 0;

  constructor({ entry, objects }, entries) {
    this.entry = entry;
    this.image = make("img", { alt: "", draggable: "false", decoding: "async" });
    const overlay = makeSvg("svg", { class: "overlay", "aria-hidden": "true" });
    overlay.setAttribute("viewBox", `0 0 ${entry.width} ${entry.height}`);
    if (!entry.drawn.startsWith("data:")) overlay.append(...shapes(objects, entries));
    const fit = make("span", { class: "fit" }, this.image, overlay);
    fitFrame(fit, entry.width, entry.height);
    const what = objects.length ? objects.slice(0, 3).map((one) => one.kind.name) : [`no ${entries.things[0]}`];
    const more = objects.length > 3 ? ` + ${objects.length - 3}` : "";
    this.button = make(
      "button",
      { type: "button", class: "card", "aria-label": `${entry.inWords(objects, entries.scored)}. ${counted(objects.length, entries.things[0])}` },
      make("span", { class: "frame" }, fit),
      make("span", { class: "title", text: entry.name, title: entry.name, dir: "auto" }),
      make("span", { class: "state", text: `${what.join(", ")}${more}`, dir: "auto" }),
    );
    this.node = make("li", {}, this.button);
  }

  loadSoon() {
    if (this.#timer) return;
    this.#timer = setTimeout(() => this.node.isConnected && this.#load(), REST);
  }

  #load() {
    const { thumbnail, photo, drawn } = this.entry;
    const sources = drawn.startsWith("data:") ? [drawn] : [thumbnail, photo, drawn].filter(Boolean);
    const next = () => {
      if (sources.length) this.image.src = sources.shift();
      else this.button.classList.add("missing");
    };
    this.image.addEventListener("error", next);
    next();
  }
}

// The outlines of objects, the largest first, so that small ones lie on top.
export function shapes(objects, entries) {
  return (entries.lines ? [...objects] : [])
    .sort((a, b) => b.share - a.share)
    .map((one) => {
      const group = makeShape({ id: one.id, line: pathOf(one), colour: one.kind.colour, opacity: 0.25 });
      if (!one.outlines) group.classList.add("box-only");
      if (entries.frames) group.append(makeSvg("path", { d: framePath(one.box), class: "frame-line" }));
      return group;
    });
}
