// Files that come to the page: chosen, dropped (folders too) or pasted.

import { takeBackground } from "/compose.js";
import { byId } from "/dom.js";
import { state } from "/state.js";

const ENDING = /\.(avif|bmp|dib|gif|jfif|jp2|j2k|jpe|jpe?g|jpx|mpo|p[bgnp]m|png|tiff?|webp|hei[cf]|hif)$/i; // photos.SUFFIXES

export function acceptFiles() {
  for (const id of ["choose", "camera", "add"]) {
    byId(id).addEventListener("change", (event) => {
      take(named(event.target.files));
      event.target.value = "";
    });
  }
  let depth = 0; // of elements that the files are dragged over
  const mark = (change) => {
    depth = Math.max(depth + change, 0);
    document.body.classList.toggle("dragging", depth > 0);
  };
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
  document.addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(-depth);
    if (toDialog(event.dataTransfer.files)) return;
    take(await dropped(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files ?? [];
    if (files.length && !toDialog(files)) take(named(files));
  });
}

const named = (files) => [...files].map((file) => ({ file, name: file.name }));

function take(files) {
  if (files.length) byId("notice").hidden = true;
  state.add(files);
}

// Whether a dialog is open: that of a composition takes a photo as its background.
function toDialog(files) {
  const dialog = document.querySelector("dialog[open]");
  if (dialog?.id === "compose") takeBackground(files);
  return Boolean(dialog);
}

// What was dropped. A folder gives its photos and those of its subfolders, by the path in it.
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()); // at once: later they are gone
  const files = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) return named(files);
  const found = [];
  try {
    for (const entry of entries) found.push(...(await photosIn(entry, entry.name.length + 2)));
  } catch {
    notice("The folder cannot be read. Choose its photos instead.");
    return [];
  }
  if (!found.length) notice("There are no photos in this folder.");
  return found;
}

async function photosIn(entry, start) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    return [{ file, name: entry.fullPath.slice(start) || file.name }];
  }
  const found = [];
  for (const child of await childrenOf(entry)) {
    if (!child.name.startsWith(".") && (child.isDirectory || ENDING.test(child.name))) {
      found.push(...(await photosIn(child, start)));
    }
  }
  return found;
}

async function childrenOf(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // a hundred at a time
    if (!some.length) break;
    all.push(...some);
  }
  return all.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = false;
}
