// The dialog with one garment, cut out.

import { openCompose } from "/compose.js";
import { byId, make, percent, stem } from "/dom.js";
import { state } from "/state.js";

const dialog = byId("cutout");
let address = null;
let current = null;

export async function openCutout(photo, garment) {
  current = { photo, garment };
  const frame = byId("cutout-picture");
  const link = byId("cutout-save");
  byId("cutout-title").textContent = `${garment.class}, ${percent(garment.score)}`;
  byId("cutout-facts").textContent = photo.name;
  frame.replaceChildren(make("span", { class: "spinner", role: "img", "aria-label": "Cutting out" }));
  link.removeAttribute("href");
  link.setAttribute("aria-disabled", "true");
  byId("cutout-compose").disabled = true;
  if (!dialog.open) dialog.showModal();
  try {
    const blob = await state.cutout(photo, garment.id);
    if (current?.garment !== garment || !dialog.open) return;
    address = URL.createObjectURL(blob);
    const image = make("img", { src: address, alt: `The ${garment.class}, cut out of ${photo.name}` });
    await image.decode();
    frame.replaceChildren(image);
    byId("cutout-facts").textContent = `${photo.name}, ${image.naturalWidth} × ${image.naturalHeight} pixels`;
    link.href = address;
    link.download = cutoutName(photo, garment);
    link.removeAttribute("aria-disabled");
    byId("cutout-compose").disabled = false;
  } catch (error) {
    frame.replaceChildren(make("p", { class: "note", text: error.message }));
  }
}

export const cutoutName = (photo, garment) => `${stem(photo.name)}-${garment.id + 1}-${stem(garment.class)}.png`;

byId("cutout-compose").addEventListener("click", () => {
  const { photo, garment } = current;
  dialog.close();
  openCompose(photo, garment);
});

dialog.addEventListener("close", () => {
  if (address) setTimeout(URL.revokeObjectURL, 60_000, address);
  address = current = null;
});

for (const box of document.querySelectorAll("dialog")) {
  box.querySelector(".close").addEventListener("click", () => box.close());
  box.addEventListener("click", (event) => event.target === box && box.close()); // on the backdrop
}
