// What the page knows: the photos, which of them is open, and what is shown. Parts of the page listen for changes:
// "photos" (added, removed, done), "view" (another photo is open), "filter" (score, classes, opacity), "lit".

import { cutOut, fileFault, getModel, onRestart, predict, preview, RestartError } from "/api.js";
import { counted, say } from "/dom.js";

const AT_ONCE = 2; // one photo is sent while another is in work
const THUMBNAIL = 480; // pixels

class State extends EventTarget {
  model = null;
  photos = [];
  open = null; // a photo; null shows all
  score = 0.5;
  moved = false; // whether the score slider was moved; before, each class has its own threshold
  opacity = 0.35;
  off = new Set(); // classes that are not shown, by id
  lit = null; // { photo, id } of the garment that is highlighted
  #renewal = null;
  #active = 0;
  #next = 1;

  // Takes the network of the server. After another start of it, all photos are searched again.
  async begin() {
    onRestart(() => (this.#renewal ??= this.#renew().finally(() => (this.#renewal = null))));
    this.#take(await getModel());
  }

  #take(model) {
    this.model = model;
    if (!this.moved) this.score = model.score_threshold;
  }

  async #renew() {
    this.#take(await getModel());
    this.off.clear();
    this.lit = null;
    for (const photo of this.photos.filter((one) => one.status === "done")) {
      Object.assign(photo, { status: "waiting", instances: [], cutouts: new Map(), version: photo.version + 1 });
    }
    this.tell("model");
    this.#pump();
  }

  tell(what) {
    this.dispatchEvent(new Event(what));
  }

  on(names, listener) {
    for (const name of names.split(" ")) this.addEventListener(name, listener);
  }

  colour(instance) {
    return this.model.classes[instance.class_id - 1].colour;
  }

  threshold(classId) {
    return this.moved ? this.score : this.model.classes[classId - 1].score_threshold;
  }

  passesScore(instance) {
    return instance.score >= this.threshold(instance.class_id);
  }

  shown(photo) {
    return photo.instances.filter((one) => !this.off.has(one.class_id) && this.passesScore(one));
  }

  light(photo, id) {
    this.lit = photo && id != null ? { photo, id } : null;
    this.tell("lit");
  }

  isLit(photo, id) {
    return this.lit?.photo === photo && this.lit.id === id;
  }

  // Photos from a list of { file, name }.
  add(files) {
    const added = [...files].map(({ file, name }) => ({
      key: this.#next++,
      file,
      name: name || "photo",
      address: URL.createObjectURL(file),
      thumbnail: null,
      status: "waiting",
      error: "",
      width: 0,
      height: 0,
      instances: [],
      version: 0, // of the instances
      cutouts: new Map(),
    }));
    if (!added.length) return;
    this.photos.push(...added);
    if (this.photos.length === 1) this.show(this.photos[0]);
    else if (this.photos.length === added.length || added.length > 1) this.show(null);
    else this.show(added[0]);
    say(`${counted(added.length, "photo")} added`);
    this.tell("photos");
    this.#pump();
    this.#thumbnails(added);
  }

  remove(photo) {
    this.photos = this.photos.filter((other) => other !== photo);
    URL.revokeObjectURL(photo.address);
    if (photo.thumbnail) URL.revokeObjectURL(photo.thumbnail);
    if (this.open === photo) this.show(null);
    this.tell("photos");
  }

  show(photo) {
    this.open = photo;
    this.lit = null;
    this.tell("view");
  }

  again(photo) {
    photo.status = "waiting";
    photo.error = "";
    this.tell("photos");
    this.#pump();
  }

  // The cut-out of a garment: a PNG, made once.
  cutout(photo, id) {
    if (!photo.cutouts.has(id)) {
      const made = cutOut(photo.file, id);
      made.catch(() => photo.cutouts.delete(id));
      photo.cutouts.set(id, made);
    }
    return photo.cutouts.get(id);
  }

  #pump() {
    while (this.#active < AT_ONCE) {
      const photo = this.photos.find((one) => one.status === "waiting");
      if (!photo) break;
      photo.status = "working";
      this.#active += 1;
      this.#work(photo).finally(() => {
        this.#active -= 1;
        this.tell("photos");
        this.#pump();
      });
    }
    this.tell("photos");
  }

  // Thumbnails come one after the other, before the garments: decoding takes memory.
  async #thumbnails(photos) {
    for (const photo of photos) {
      const bitmap = photo.thumbnail ? null : await decoded(photo.file);
      if (!bitmap || photo.thumbnail) continue;
      if (!photo.width) Object.assign(photo, { width: bitmap.width, height: bitmap.height });
      await makeThumbnail(photo, bitmap);
      this.tell("photos");
    }
  }

  async #work(photo) {
    try {
      if (photo.file.size > this.model.max_bytes) {
        throw new Error(`The file is larger than ${Math.round(this.model.max_bytes / 2 ** 20)} MB; make it smaller.`);
      }
      const fault = await fileFault(photo.file);
      if (fault) throw new Error(fault);
      const found = await predict(photo.file);
      Object.assign(photo, { width: found.width, height: found.height, instances: found.instances });
      photo.version += 1;
      await checkPicture(photo);
      photo.status = "done";
      const done = this.photos.filter((one) => one.status === "done" || one.status === "error").length;
      say(`${photo.name}: ${counted(this.shown(photo).length, "garment")}. ${done} of ${this.photos.length} done.`);
    } catch (error) {
      if (error instanceof RestartError) {
        photo.status = "waiting";
        return;
      }
      photo.status = "error";
      photo.error = error.message;
      say(`${photo.name}: ${error.message}`);
    }
  }
}

// Another picture for the photo, if the browser cannot show it, or would not turn it upright.
async function checkPicture(photo) {
  const bitmap = await decoded(photo.file);
  const fits = bitmap?.width === photo.width && bitmap.height === photo.height;
  if (fits && photo.thumbnail) {
    bitmap.close();
    return;
  }
  if (fits) {
    await makeThumbnail(photo, bitmap);
    return;
  }
  bitmap?.close();
  const picture = await preview(photo.file);
  URL.revokeObjectURL(photo.address);
  photo.address = URL.createObjectURL(picture);
  await makeThumbnail(photo, await createImageBitmap(picture));
}

async function makeThumbnail(photo, bitmap) {
  const scale = Math.min(THUMBNAIL / Math.max(bitmap.width, bitmap.height), 1);
  const canvas = new OffscreenCanvas(Math.max(bitmap.width * scale, 1), Math.max(bitmap.height * scale, 1));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  photo.thumbnail = URL.createObjectURL(await canvas.convertToBlob({ type: "image/webp", quality: 0.8 }));
}

async function decoded(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
}

export const state = new State();
