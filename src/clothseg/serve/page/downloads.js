// Files for the user: all cut-outs, COCO JSON, labels for other tools.

import { labels } from "/api.js";
import { cutoutName } from "/cutout.js";
import { byId, counted, save } from "/dom.js";
import { state } from "/state.js";
import { zip } from "/zip.js";

const BUTTONS = ["download-zip", "download-coco", "download-labels"];
let working = false;

export function setUpDownloads() {
  const work = (id, job) => byId(id).addEventListener("click", () => busy(job));
  work("download-zip", saveCutouts);
  work("download-coco", async () => save(await labels(request(), "coco-rle"), "clothseg-coco.json"));
  work("download-labels", saveLabels);
  for (const radio of document.querySelectorAll("#scope input")) radio.addEventListener("change", drawDownloads);
}

export function drawDownloads() {
  byId("scope").hidden = !state.open || state.photos.length < 2;
  const photos = chosen();
  const garments = photos.reduce((sum, photo) => sum + state.shown(photo).length, 0);
  if (working) return;
  byId("download-zip").disabled = !garments;
  byId("download-coco").disabled = byId("download-labels").disabled = !photos.length;
  const same = new Set(photos.map((photo) => photo.name)).size < photos.length;
  const warning = same ? " Some photos have the same name, so labels cannot tell them apart." : "";
  note(photos.length ? `${counted(garments, "shown garment")} on ${counted(photos.length, "photo")}.${warning}` : "");
}

const note = (text) => (byId("download-note").textContent = text);

// The photos that are downloaded from: the open one, or all that are done.
function chosen() {
  const one = state.open && (state.photos.length < 2 || byId("scope").querySelector('[value="one"]').checked);
  return (one ? [state.open] : state.photos).filter((photo) => photo.status === "done");
}

async function busy(job) {
  working = true;
  for (const id of BUTTONS) byId(id).disabled = true;
  let failure = null;
  try {
    await job();
  } catch (error) {
    failure = error.message;
  }
  working = false;
  drawDownloads();
  if (failure) note(failure);
}

async function saveCutouts() {
  const wanted = chosen().flatMap((photo) => state.shown(photo).map((garment) => ({ photo, garment })));
  const entries = [];
  const used = new Set();
  for (const { photo, garment } of wanted) {
    note(`Cutting out ${entries.length + 1} of ${wanted.length} …`);
    const blob = await state.cutout(photo, garment.id);
    let name = cutoutName(photo, garment);
    for (let n = 2; used.has(name.toLowerCase()); n++) name = cutoutName(photo, garment).replace(/\.png$/, `-${n}.png`);
    used.add(name.toLowerCase());
    entries.push({ name, blob });
  }
  save(await zip(entries), "clothseg-cutouts.zip");
}

async function saveLabels() {
  const form = byId("label-format").value;
  const file = await labels(request(), form);
  if (form !== "label-studio") {
    save(file, `labels-${form}.json`);
    return;
  }
  const screen = await labels(request(), "label-studio-config");
  const entries = [
    { name: "labels-label-studio.json", blob: file },
    { name: "labels-label-studio.xml", blob: screen },
  ];
  save(await zip(entries), "labels-label-studio.zip");
}

// The shown garments as `POST /labels` takes them.
function request() {
  const photos = chosen();
  const images = photos.map((photo, i) => ({ id: i + 1, file_name: photo.name, width: photo.width, height: photo.height }));
  const results = photos.flatMap((photo, i) =>
    state.shown(photo).map((garment) => ({
      image_id: i + 1,
      category_id: garment.class_id,
      score: garment.score,
      bbox: garment.bbox,
      segmentation: garment.segmentation,
    })),
  );
  return { images, results };
}
