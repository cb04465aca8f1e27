// Starts the page, and connects its parts.

import { openCutout } from "/cutout.js";
import { byId, counted, make } from "/dom.js";
import { drawDownloads, setUpDownloads } from "/downloads.js";
import { acceptFiles } from "/files.js";
import { drawGallery } from "/gallery.js";
import { followHistory } from "/history.js";
import { drawLitRow, drawPanel, setUpPanel } from "/panel.js";
import { state } from "/state.js";
import { drawLit, drawPhoto, onOpen, showPhoto } from "/viewer.js";

function drawLayout() {
  const any = state.photos.length > 0;
  const photo = state.open;
  byId("welcome").hidden = any;
  byId("work").hidden = !any;
  byId("stage").hidden = byId("zoom").hidden = !photo;
  byId("gallery").hidden = Boolean(photo);
  byId("back").hidden = !photo || state.photos.length < 2;
  byId("step").hidden = !photo || state.photos.length < 2;
  byId("title").textContent = photo ? photo.name : counted(state.photos.length, "photo");
  document.title = photo ? `${photo.name}: clothseg` : "clothseg: garments on your photos";
}

function drawProgress() {
  const total = state.photos.length;
  const ended = state.photos.filter((photo) => photo.status === "done" || photo.status === "error").length;
  byId("progress").hidden = ended === total || total < 2;
  byId("progress-bar").max = Math.max(total, 1);
  byId("progress-bar").value = ended;
  byId("progress-text").textContent = `${ended} of ${counted(total, "photo")}`;
}

function drawAll() {
  drawLayout();
  drawProgress();
  drawPanel();
  drawDownloads();
  if (state.open) drawPhoto();
  else drawGallery();
}

// Where the focused control has vanished, the focus goes to what came instead.
function keepFocus() {
  const focused = document.activeElement;
  if (!focused || focused === document.body || focused.checkVisibility()) return;
  (state.open ? byId("stage") : byId("main")).focus({ preventScroll: true });
}

function step(by) {
  const at = state.photos.indexOf(state.open);
  state.show(state.photos[(at + by + state.photos.length) % state.photos.length]);
}

async function start() {
  await state.begin();
  drawModel();
  state.on("model", drawModel);
  setUpPanel(openCutout);
  setUpDownloads();
  onOpen(openCutout);
  state.on("view", () => {
    drawAll();
    showPhoto();
    if (state.open) scrollTo(0, 0); // its card may have been far down
    keepFocus();
  });
  state.on("photos filter", drawAll);
  state.on("lit", () => {
    drawLit();
    drawLitRow();
  });
  byId("back").addEventListener("click", () => {
    const card = state.photos.indexOf(state.open);
    state.show(null);
    byId("gallery").children[card]?.querySelector(".card").focus();
  });
  byId("to-panel").addEventListener("click", () => {
    byId("panel").scrollIntoView();
    byId("panel").focus({ preventScroll: true });
  });
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  acceptFiles();
  followHistory();
  document.body.dataset.ready = "yes";
}

function drawModel() {
  byId("model-name").textContent = state.model.name;
  const names = state.model.classes.map((one) => one.name);
  byId("class-names").textContent =
    names.length > 12 ? `The network knows ${names.length} classes.` : `The network knows ${names.join(", ")}.`;
}

start().catch((error) => {
  byId("welcome").prepend(make("p", { class: "error", role: "alert", text: error.message }));
});
