// Buckets: what is in them, shown as what it is; files are dropped in.

import { content, control, objectPath, store } from "./api.js";
import { $, Pick, ask, doing, download, h, note, say, snippet, tried } from "./dom.js";
import { tree } from "./json.js";
import { bytes, number, plural } from "./words.js";

const TEXT_BYTES_MAX = 256 * 1024;

let go;
let list;
let objects;
let names = [];
let bucket = null;
let object = null;
let frame = null;
let turn = 0; // of what is opened: what comes late for another object is let go

export function start(open) {
  go = open;
  list = new Pick($("buckets-list"), {
    key: (name) => name,
    make: (name) => h("li", { class: "bucket-row" }, h("span", { class: "mono name" }, name)),
    choose: (chosen) => go("buckets", chosen),
  });
  $("buckets-make").addEventListener(
    "submit",
    doing(async () => {
      const name = $("buckets-name").value.trim();
      if (!name) throw new Error("Write the name of the new bucket.");
      await control("PUT", `/buckets/${encodeURIComponent(name)}`);
      $("buckets-name").value = "";
      await load();
      go("buckets", name);
    }),
  );
  $("buckets-empty").append(h("p", {}, h("strong", {}, "No bucket yet.")), h("p", {}, "Make one below, or from anywhere:"), snippet(`curl --request PUT ${location.origin}/_emulator/v1/buckets/photos`));
}

export async function load() {
  const answer = await control("GET", "/buckets");
  names = answer.buckets.map((each) => each.name);
  say(document.querySelector("[data-tally=buckets]"), names.length ? number(names.length) : "");
  list.show(names);
  $("buckets-empty").hidden = names.length > 0;
}

export async function show(chosen, name) {
  await load();
  bucket = chosen || null;
  object = name || null;
  list.mark(bucket);
  if (bucket === null) {
    frame = null;
    $("bucket").replaceChildren(names.length ? h("p", { class: "hint" }, "Choose a bucket to see what is in it.") : "");
    return;
  }
  if (frame?.bucket !== bucket) build();
  await Promise.all([fill(), preview()]);
}

export const move = (step) => list.move(step);

function build() {
  const name = bucket;
  const prefix = h("input", { type: "search", class: "grow mono", placeholder: "Names that begin with …  (/)", "aria-label": "Prefix of names", "data-filter": "" });
  prefix.addEventListener("input", () => tried(fill));
  const input = h("input", { type: "file", multiple: true });
  input.addEventListener("change", doing(async () => (await upload(input.files), (input.value = ""))));
  const rows = h("ol", { id: "objects-list", class: "pick", role: "listbox", "aria-label": `Objects in ${name}`, tabindex: "0" });
  const area = h(
    "div",
    { class: "drop objects" },
    rows,
    h("div", { class: "empty" }, h("p", {}, h("strong", {}, "Nothing here.")), h("p", {}, "Drop files into this space, or send them:"), snippet(`curl --request PUT ${location.origin}/_emulator/v1/buckets/${name}/objects/cat.jpg --data-binary @cat.jpg`)),
    h("p", { class: "muted small left" }),
  );
  area.addEventListener("dragover", (event) => (event.preventDefault(), area.classList.add("over")));
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", doing(async (event) => (area.classList.remove("over"), upload(event.dataTransfer.files))));
  const viewer = h("div", { class: "viewer", role: "region", "aria-label": "The object" });
  $("bucket").replaceChildren(
    h(
      "div",
      { class: "bar" },
      h("h3", { class: "mono" }, `gs://${name}`),
      h("span", { class: "grow" }),
      h("label", { class: "button file" }, "Upload …", input),
      h("button", { type: "button", class: "quiet", onclick: doing(() => remove(name)) }, "Delete bucket …"),
    ),
    h("div", { class: "bar" }, prefix),
    h("div", { class: "halves" }, area, viewer),
  );
  objects = new Pick(rows, { key: (each) => each.name, make: row, update: (element, each) => say(element.querySelector(".size"), bytes(each.size)), choose: (chosen) => go("buckets", name, chosen) });
  frame = { bucket: name, prefix, area, viewer, of: null };
}

function row(each) {
  return h("li", { class: "object-row" }, h("span", { class: "mono name" }, each.name), h("span", { class: "size muted" }));
}

/** Lists the open bucket again, for those who write into it meanwhile. */
export async function fill() {
  if (frame === null) return;
  const { bucket: name, prefix, area } = frame;
  let answer;
  try {
    answer = await control("GET", `/buckets/${encodeURIComponent(name)}/objects?prefix=${encodeURIComponent(prefix.value)}`);
  } catch (failure) {
    if (failure.status !== 404) throw failure;
    frame = null;
    $("bucket").replaceChildren(h("p", { class: "hint" }, `There is no bucket ${name} any more.`));
    return;
  }
  if (frame?.bucket !== name) return;
  objects.show(answer.objects);
  objects.mark(object);
  const empty = area.querySelector(".empty");
  empty.hidden = answer.objects.length > 0;
  say(empty.querySelector("strong"), prefix.value ? "No name begins so." : "Nothing here.");
  say(area.querySelector(".left"), answer.next ? `The first ${number(answer.objects.length)}; a prefix shows others.` : answer.objects.length ? plural(answer.objects.length, "object") : "");
}

async function upload(files) {
  const name = bucket;
  for (const file of files) await store(`gs://${name}/${file.name}`, file);
  if (files.length) note(`${files.length === 1 ? files[0].name : plural(files.length, "file")} stored in gs://${name}.`);
  await fill();
}

async function remove(name) {
  const sure = await ask({ title: `Delete gs://${name}?`, text: "All that is in it goes, too.", yes: "Delete", danger: true });
  if (sure === null) return;
  await control("DELETE", `/buckets/${encodeURIComponent(name)}`);
  go("buckets");
}

async function preview() {
  const { viewer } = frame;
  const name = object;
  const uri = `gs://${bucket}/${name}`;
  if (name === null) {
    frame.of = null;
    viewer.replaceChildren();
    return;
  }
  if (frame.of === uri) return;
  frame.of = uri;
  const mine = ++turn;
  let blob;
  try {
    blob = await content(uri);
  } catch (failure) {
    if (mine === turn) viewer.replaceChildren(h("p", { class: "fault" }, failure.message));
    return;
  }
  const shown = await rendered(name, blob);
  if (mine !== turn) return;
  viewer.replaceChildren(
    h("h4", { class: "mono" }, name),
    h("p", { class: "muted" }, bytes(blob.size)),
    h(
      "div",
      { class: "row" },
      shown.image ? h("a", { class: "button", href: `#/workbench/${encodeURIComponent(uri)}` }, "Open in the workbench") : "",
      h("button", { type: "button", onclick: () => download(name.split("/").pop(), blob) }, "Download"),
      h("button", { type: "button", onclick: doing(() => removeObject(uri)) }, "Delete"),
    ),
    shown.element,
  );
}

/** An object as a person sees it: a picture, JSON, text, or what it is. */
async function rendered(name, blob) {
  try {
    const bitmap = await createImageBitmap(blob);
    const canvas = h("canvas", { class: "preview", width: bitmap.width, height: bitmap.height, role: "img", "aria-label": name });
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    return { image: true, element: canvas };
  } catch {
    // no image that this browser knows; what else it may be is looked at below
  }
  const text = await blob.text();
  try {
    return { element: tree(JSON.parse(text), { label: name }) };
  } catch {
    const readable = !/[\u0000-\u0008\ufffd]/.test(text.slice(0, TEXT_BYTES_MAX));
    if (!readable) return { element: h("p", { class: "muted" }, "Neither an image that this browser shows, nor text.") };
    return { element: h("pre", { class: "read" }, text.slice(0, TEXT_BYTES_MAX)) };
  }
}

async function removeObject(uri) {
  const sure = await ask({ title: "Delete the object?", text: uri, yes: "Delete", danger: true });
  if (sure === null) return;
  await control("DELETE", objectPath(uri));
  go("buckets", bucket);
}
