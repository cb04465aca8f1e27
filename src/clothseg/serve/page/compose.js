// The dialog that puts a cut-out on another photo. While it moves, the browser draws it; at rest, and for the download,
// the server pastes it, so that light and edges are those of the result.

import { compose, fileFault, preview } from "/api.js";
import { byId, make, save, stem } from "/dom.js";
import { state } from "/state.js";

const SMALL = 1400; // pixels of the longer side while it is arranged
const REST = 300; // milliseconds without a change before the server is asked
const dialog = byId("compose");
const board = byId("board");
let work = null; // { photo, garment, cutout, image, back, x, y, width, version, turn }
let timer = 0;

export async function openCompose(photo, garment) {
  work = { photo, garment, cutout: null, back: null, x: 0.5, y: 0.5, width: 0.5, version: 0, turn: 0 };
  board.replaceChildren(make("p", { class: "note", text: "Choose the photo." }));
  byId("compose-save").disabled = true;
  byId("compose-note").textContent = "";
  drawBackgrounds();
  dialog.showModal();
  const mine = work;
  mine.cutout = await state.cutout(photo, garment.id); // made before: the dialog of the cut-out led here
  mine.image = make("img", { src: URL.createObjectURL(mine.cutout), alt: "", draggable: "false" });
  await mine.image.decode();
  const other = state.photos.find((one) => one !== photo && one.status === "done");
  if (work === mine && other && !mine.back) setBackground(other.file, other.name, other);
}

function drawBackgrounds() {
  const done = state.photos.filter((photo) => photo.thumbnail);
  byId("backgrounds").replaceChildren(
    ...done.map((photo) =>
      make(
        "button",
        {
          type: "button",
          "aria-label": photo.name,
          "aria-pressed": String(work.back?.photo === photo),
          onclick: () => setBackground(photo.file, photo.name, photo),
        },
        make("img", { src: photo.thumbnail, alt: "" }),
      ),
    ),
  );
}

// The first of some files becomes the background, if there is one.
export function takeBackground([file]) {
  if (file && work?.image?.complete) setBackground(file, file.name);
}

// Takes a photo as the background, and a smaller copy of it for arranging.
async function setBackground(file, name, photo = null) {
  const mine = work;
  const turn = ++mine.turn; // a photo that was chosen later may be there earlier
  try {
    const fault = await fileFault(file);
    if (fault) throw new Error(fault);
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(async () =>
      createImageBitmap(await preview(file)),
    );
    const scale = Math.min(SMALL / Math.max(bitmap.width, bitmap.height), 1);
    const canvas = new OffscreenCanvas(Math.max(bitmap.width * scale, 1), Math.max(bitmap.height * scale, 1));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const small = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
    if (work !== mine || mine.turn !== turn) return;
    mine.back = { file, name, photo, small, width: canvas.width, height: canvas.height };
    bitmap.close();
  } catch (error) {
    if (work === mine && mine.turn === turn) byId("compose-note").textContent = error.message;
    return;
  }
  byId("compose-note").textContent = "";
  byId("compose-save").disabled = false;
  drawBackgrounds();
  suggestPlace(mine);
  drawBoard();
}

// A garment of the same class is covered; otherwise it comes to the middle.
function suggestPlace(mine) {
  const { back, image } = mine;
  const shape = image.naturalHeight / image.naturalWidth;
  const same = back.photo && state.shown(back.photo).find((one) => one.class_id === mine.garment.class_id);
  if (same && back.photo !== mine.photo) {
    const [x, y, width, height] = same.bbox;
    const wide = Math.sqrt((width * height) / shape); // as large as the other one
    Object.assign(mine, { width: wide / back.photo.width, x: (x + width / 2) / back.photo.width });
    mine.y = (y + height / 2) / back.photo.height;
  } else {
    mine.width = Math.min(0.5, (0.7 * back.height) / (shape * back.width));
    mine.x = mine.y = 0.5;
  }
}

function drawBoard() {
  const { back, image, garment } = work;
  const place = make("div", { class: "place" });
  const picture = make("img", { src: URL.createObjectURL(back.small), alt: `${back.name} with the ${garment.class}` });
  const piece = make("button", { type: "button", class: "piece" }, image);
  piece.setAttribute("aria-label", `The ${garment.class}. Arrow keys move it, plus and minus change its size.`);
  place.append(picture, piece);
  board.replaceChildren(place);
  wire(piece);
  layOut();
  changed();
}

// Sizes the background to the board, and the garment to the background.
function layOut() {
  if (!work?.back) return;
  const { back, image, x, y, width } = work;
  const place = board.querySelector(".place");
  const scale = Math.min(board.clientWidth / back.width, board.clientHeight / back.height);
  place.style.width = `${back.width * scale}px`;
  place.style.height = `${back.height * scale}px`;
  const wide = width * back.width * scale;
  const high = (wide * image.naturalHeight) / image.naturalWidth;
  const piece = place.querySelector(".piece");
  piece.style.width = `${wide}px`;
  piece.style.left = `${x * back.width * scale - wide / 2}px`;
  piece.style.top = `${y * back.height * scale - high / 2}px`;
  byId("size").value = width;
  byId("size-value").textContent = `${Math.round(100 * width)} %`;
}

// Shows the browser's own picture at once, and the server's one when nothing has changed for a moment.
function changed() {
  const place = board.querySelector(".place");
  place.classList.remove("settled");
  const picture = place.querySelector(":scope > img");
  if (!work.plain) work.plain = new Map();
  if (!work.plain.has(work.back)) work.plain.set(work.back, picture.src);
  picture.src = work.plain.get(work.back);
  const version = ++work.version;
  clearTimeout(timer);
  timer = setTimeout(() => settle(work, version), REST);
}

async function settle(mine, version) {
  try {
    const blob = await compose(mine.cutout, mine.back.small, asked());
    if (work !== mine || mine.version !== version) return;
    const place = board.querySelector(".place");
    const picture = place.querySelector(":scope > img");
    picture.src = URL.createObjectURL(blob);
    await picture.decode();
    if (mine.version === version) place.classList.add("settled");
    byId("compose-note").textContent = "";
  } catch (error) {
    if (work === mine && mine.version === version) byId("compose-note").textContent = error.message;
  }
}

const asked = () => ({
  x: work.x.toFixed(5),
  y: work.y.toFixed(5),
  width: work.width.toFixed(5),
  match_light: byId("match-light").checked,
});

function move(dx, dy) {
  work.x = Math.min(Math.max(work.x + dx, 0), 1);
  work.y = Math.min(Math.max(work.y + dy, 0), 1);
  layOut();
  changed();
}

function resize(width) {
  work.width = Math.min(Math.max(width, 0.03), 1.5);
  layOut();
  changed();
}

function wire(piece) {
  let last = null;
  piece.addEventListener("pointerdown", (event) => {
    last = [event.clientX, event.clientY];
    piece.setPointerCapture(event.pointerId);
  });
  piece.addEventListener("pointermove", (event) => {
    if (!last) return;
    const place = board.querySelector(".place");
    move((event.clientX - last[0]) / place.clientWidth, (event.clientY - last[1]) / place.clientHeight);
    last = [event.clientX, event.clientY];
  });
  for (const name of ["pointerup", "pointercancel"]) piece.addEventListener(name, () => (last = null));
  piece.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.05 : 0.01;
    const keys = {
      ArrowLeft: () => move(-step, 0),
      ArrowRight: () => move(step, 0),
      ArrowUp: () => move(0, -step),
      ArrowDown: () => move(0, step),
      "+": () => resize(work.width * 1.05),
      "=": () => resize(work.width * 1.05),
      "-": () => resize(work.width / 1.05),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
}

byId("background").addEventListener("change", (event) => {
  takeBackground(event.target.files);
  event.target.value = "";
});
byId("size").addEventListener("input", (event) => work?.back && resize(Number(event.target.value)));
byId("match-light").addEventListener("change", () => work?.back && changed());
byId("compose-save").addEventListener("click", async () => {
  const mine = work;
  byId("compose-note").textContent = "Pasting in full size …";
  try {
    const blob = await compose(mine.cutout, mine.back.file, asked());
    save(blob, `${stem(mine.back.name)}-${stem(mine.garment.class)}.jpg`);
    byId("compose-note").textContent = "Downloaded.";
  } catch (error) {
    byId("compose-note").textContent = error.message;
  }
});
dialog.addEventListener("close", () => {
  clearTimeout(timer);
  work = null;
  board.replaceChildren();
});
new ResizeObserver(layOut).observe(board);
