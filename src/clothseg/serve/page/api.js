// Requests to the server. A full queue is not an error: the request waits and is sent again.

const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// Which start of the server the page belongs to, and what happens after another one.
const server = { start: "", onRestart: async () => {} };

export function onRestart(listener) {
  server.onRestart = listener;
}

async function post(path, body, type) {
  for (;;) {
    let response;
    try {
      const headers = { "X-Clothseg-Start": server.start, ...(type && { "Content-Type": type }) };
      response = await fetch(path, { method: "POST", body, headers });
    } catch {
      const gone = await unreadable(body);
      throw new Error(gone ?? "The server does not answer. Is it still running?");
    }
    if (response.status === 429) {
      await wait(Number(response.headers.get("Retry-After")) || 2);
      continue;
    }
    if (response.status === 409) {
      await server.onRestart();
      throw new RestartError();
    }
    if (!response.ok) throw new Error(await reason(response));
    return response;
  }
}

// What is wrong with a file that was chosen; null if nothing is. The browser reads it again for each request.
export async function fileFault(file) {
  if (!file.size) return "The file is empty, or a folder.";
  try {
    await file.slice(0, 1).arrayBuffer();
    return null;
  } catch {
    return "The file cannot be read. It may have been moved or changed: choose it again.";
  }
}

async function unreadable(body) {
  for (const file of body instanceof FormData ? body.values() : []) {
    const fault = await fileFault(file);
    if (fault) return fault;
  }
  return null;
}

export class RestartError extends Error {
  constructor() {
    super("The server was started again, so the photos are searched again. Then try once more.");
  }
}

async function reason(response) {
  if (response.status === 401) return "The server needs its token. Open the address that it printed.";
  try {
    const { error } = await response.json();
    const words = error.replace(/^the photo: /, ""); // it stands beside the photo
    return words[0].toUpperCase() + words.slice(1);
  } catch {
    return `The server answered ${response.status}.`;
  }
}

function form(files) {
  const data = new FormData();
  for (const [name, file] of Object.entries(files)) data.append(name, file, name);
  return data;
}

export async function getModel() {
  const response = await fetch("/model");
  if (!response.ok) throw new Error(await reason(response));
  const model = await response.json();
  server.start = model.start;
  return model;
}

export const predict = async (file) => (await post("/predict", form({ photo: file }))).json();

export const preview = async (file) => (await post("/preview", form({ photo: file }))).blob();

export const cutOut = async (file, instance) =>
  (await post(`/cutout?instance=${instance}`, form({ photo: file }))).blob();

export async function compose(cutout, background, place) {
  const response = await post(`/compose?${new URLSearchParams(place)}`, form({ cutout, background }));
  return response.blob();
}

export const labels = async (request, format) =>
  (await post(`/labels?format=${format}`, JSON.stringify(request), "application/json")).blob();
