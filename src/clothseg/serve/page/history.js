// The browser's Back button: from a photo to all photos. Who leaves the page with several photos is asked first, because
// they are not kept.

import { byId } from "/dom.js";
import { state } from "/state.js";

export function followHistory() {
  history.replaceState(null, "");
  history.scrollRestoration = "manual"; // the page scrolls to the card that was left
  state.on("view", () => {
    const here = history.state?.photo ?? null;
    const wanted = state.open && state.photos.length > 1 ? state.open.key : null;
    if (here === wanted) return;
    if (!wanted) history.back();
    else if (here) history.replaceState({ photo: wanted }, "");
    else history.pushState({ photo: wanted }, "");
  });
  addEventListener("popstate", (event) => {
    const photo = state.photos.find((one) => one.key === event.state?.photo) ?? null;
    if (photo === state.open) return;
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    if (photo || state.photos.length < 2) state.show(photo ?? state.open);
    else byId("back").click();
  });
  addEventListener("beforeunload", (event) => {
    if (state.photos.length > 1) event.preventDefault();
  });
}
