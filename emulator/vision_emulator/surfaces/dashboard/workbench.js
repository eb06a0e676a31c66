// The workbench: an image, what to look for, and what was found, drawn over it; and the answer kept as a fixture.

import { content, control, vision } from "./api.js";
import { $, ask, doing, field, h, keep, note, say, tried } from "./dom.js";
import { tree } from "./json.js";
import { LAYERS, draw, point, shapes } from "./overlay.js";
import { digest } from "./sha256.js";
import { bytes, last, lower, number, percent, plural } from "./words.js";

const FEATURES = [
  "LABEL_DETECTION",
  "OBJECT_LOCALIZATION",
  "FACE_DETECTION",
  "TEXT_DETECTION",
  "DOCUMENT_TEXT_DETECTION",
  "LANDMARK_DETECTION",
  "LOGO_DETECTION",
  "CROP_HINTS",
  "IMAGE_PROPERTIES",
  "SAFE_SEARCH_DETECTION",
  "WEB_DETECTION",
];
const FIRST = ["LABEL_DETECTION", "OBJECT_LOCALIZATION", "TEXT_DETECTION", "IMAGE_PROPERTIES"];
const LIKELIHOODS = ["UNKNOWN", "VERY_UNLIKELY", "UNLIKELY", "POSSIBLE", "LIKELY", "VERY_LIKELY"];
const URIS_OFFERED = 200;
const IMAGE_NAME = /\.(jpe?g|png|gif|bmp|webp|tiff?|ico)$/i;

let picture = null; // {blob, uri, name}
let answered = null; // {response, size}
let turn = 0; // of images and calls: what comes late for another one is let go

export function start() {
  const boxes = FEATURES.map((name) => h("label", {}, h("input", { type: "checkbox", name: "feature", value: name, checked: FIRST.includes(name) }), lower(name).replace(" detection", "")));
  $("workbench-features").append(...boxes);
  const check = (on) => () => boxes.forEach((box) => (box.firstChild.checked = on));
  $("workbench-all").addEventListener("click", check(true));
  $("workbench-none").addEventListener("click", check(false));
  $("workbench-file").addEventListener("change", doing(async (event) => event.target.files[0] && take(event.target.files[0])));
  $("workbench-uri").addEventListener("change", doing(() => takeUri($("workbench-uri").value.trim())));
  $("workbench-form").addEventListener("submit", doing(annotate));
  $("workbench-save").addEventListener("click", doing(save));
  $("fixtures-clear").addEventListener("click", doing(forgetAll));
  const area = $("workbench-drop");
  area.addEventListener("dragover", (event) => (event.preventDefault(), area.classList.add("over")));
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener(
    "drop",
    doing(async (event) => {
      area.classList.remove("over");
      const file = event.dataTransfer.files[0];
      if (file) await take(file);
    }),
  );
}

/** Opens the panel, with the object of this uri when there is one. */
export async function show(uri) {
  await Promise.all([uri && uri !== picture?.uri ? takeUri(uri) : null, load(), tried(offer)]);
}

async function offer() {
  const { buckets } = await control("GET", "/buckets");
  const uris = [];
  for (const { name } of buckets) {
    if (uris.length >= URIS_OFFERED) break;
    const { objects } = await control("GET", `/buckets/${encodeURIComponent(name)}/objects`);
    uris.push(...objects.filter((each) => IMAGE_NAME.test(each.name)).map((each) => `gs://${name}/${each.name}`));
  }
  $("workbench-uris").replaceChildren(...uris.slice(0, URIS_OFFERED).map((value) => h("option", { value })));
}

async function take(file) {
  $("workbench-uri").value = "";
  await look({ blob: file, uri: "", name: file.name });
}

async function takeUri(uri) {
  if (!uri) return;
  $("workbench-uri").value = uri;
  await look({ blob: await content(uri), uri, name: uri });
}

async function look(taken) {
  const mine = ++turn;
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(taken.blob, { imageOrientation: "none" });
  } catch {
    note(`This browser cannot show ${taken.name}; it can be annotated all the same.`, true);
  }
  if (mine !== turn) return;
  picture = taken;
  forgetAnswer();
  const canvas = $("workbench-canvas");
  $("workbench-frame").hidden = bitmap === null;
  $("workbench-invite").hidden = bitmap !== null;
  if (bitmap) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    canvas.setAttribute("aria-label", `The image ${taken.name}`);
    $("workbench-frame").style.aspectRatio = `${bitmap.width} / ${bitmap.height}`;
    $("workbench-frame").style.setProperty("--shape", bitmap.width / bitmap.height);
    bitmap.close();
  }
  say($("workbench-source"), `${taken.name} · ${bytes(taken.blob.size)}${canvas.width && bitmap ? ` · ${canvas.width} × ${canvas.height}` : ""}`);
  $("workbench-go").disabled = false;
}

function forgetAnswer() {
  answered = null;
  $("workbench-save").disabled = true;
  for (const id of ["workbench-shapes", "workbench-tags", "workbench-layers", "workbench-colors", "workbench-results"]) $(id).replaceChildren();
}

async function annotate() {
  if (picture === null) return;
  const features = [...document.querySelectorAll("input[name=feature]:checked")].map((box) => ({ type: box.value, maxResults: Number($("workbench-most").value) }));
  if (features.length === 0) throw new Error("Choose a feature to look for.");
  const mine = ++turn;
  const button = $("workbench-go");
  button.disabled = true;
  try {
    const image = picture.uri ? { source: { imageUri: picture.uri } } : { content: await base64(picture.blob) };
    const { answer, annotators } = await vision("/v1/images:annotate", { requests: [{ image, features }] });
    if (mine !== turn) return;
    forgetAnswer();
    const response = answer.responses?.[0] ?? {};
    answered = { response, features };
    $("workbench-save").disabled = false;
    paint(response, annotators);
  } finally {
    button.disabled = false;
  }
}

async function base64(blob) {
  const text = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`${picture.name} cannot be read.`));
    reader.readAsDataURL(blob);
  });
  return text.slice(text.indexOf(",") + 1);
}

function paint(response, annotators) {
  const canvas = $("workbench-canvas");
  const found = shapes(response, canvas.width, canvas.height);
  draw($("workbench-shapes"), $("workbench-tags"), found, [canvas.width, canvas.height]);
  layers(found);
  $("workbench-colors").replaceChildren(...swatches(response));
  $("workbench-results").replaceChildren(...results(response, annotators));
}

function layers(found) {
  const frame = $("workbench-frame");
  frame.className = "frame";
  const counts = new Map();
  for (const { layer } of found) counts.set(layer, (counts.get(layer) ?? 0) + 1);
  $("workbench-layers").replaceChildren(
    ...[...counts.keys()].map((layer) => {
      const box = h("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => frame.classList.toggle(`without-${layer}`, !box.checked));
      return h("label", { class: `layer ${layer}` }, box, h("i", {}), LAYERS[layer]);
    }),
  );
}

function swatches(response) {
  const colors = response.imagePropertiesAnnotation?.dominantColors?.colors ?? [];
  return colors.map(({ color = {}, pixelFraction = 0, score = 0 }) => {
    const rgb = [color.red ?? 0, color.green ?? 0, color.blue ?? 0].map(Math.round);
    const hex = `#${rgb.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
    const swatch = h("span", { class: "swatch", title: `${hex}, ${percent(pixelFraction)} of the pixels, score ${score.toFixed(2)}`, role: "img", "aria-label": `Colour ${hex}` });
    swatch.style.background = hex;
    swatch.style.flexGrow = Math.max(0.04, pixelFraction);
    return swatch;
  });
}

function results(response, annotators) {
  const parts = [];
  const part = (title, ...children) => parts.push(h("section", { class: "card" }, h("h3", {}, title), ...children));
  if (response.error) parts.push(h("p", { class: "fault" }, `${response.error.message} (code ${response.error.code})`));
  const labels = response.labelAnnotations ?? [];
  if (labels.length) part("Labels", bars(labels.map((each) => [each.description, each.score ?? 0])));
  const objects = response.localizedObjectAnnotations ?? [];
  if (objects.length) part("Objects", bars(objects.map((each, index) => [each.name, each.score ?? 0, `objects-${index}`])));
  const faces = response.faceAnnotations ?? [];
  if (faces.length) part(plural(faces.length, "face"), h("ul", { class: "lines" }, faces.map(face)));
  const named = [["Logos", "logos", response.logoAnnotations], ["Landmarks", "landmarks", response.landmarkAnnotations]];
  for (const [title, layer, list] of named) if (list?.length) part(title, bars(list.map((each, index) => [each.description, each.score ?? 0, `${layer}-${index}`])));
  const text = response.fullTextAnnotation?.text ?? response.textAnnotations?.[0]?.description;
  if (text) part("Text", h("pre", { class: "read" }, text));
  if (response.safeSearchAnnotation) part("Safe search", h("dl", { class: "meters" }, Object.entries(response.safeSearchAnnotation).flatMap(meter)));
  const web = response.webDetection;
  if (web) part("Web", h("ul", { class: "lines" }, [...(web.bestGuessLabels ?? []).map((each) => `best guess: ${each.label}`), ...(web.webEntities ?? []).map((each) => each.description ?? each.entityId)].map((each) => h("li", {}, each))));
  const crops = response.cropHintsAnnotation?.cropHints ?? [];
  if (crops.length) part("Crop hints", bars(crops.map((each, index) => [`Crop ${index + 1}`, each.confidence ?? 0, `crops-${index}`])));
  if (parts.length === 0) parts.push(h("p", { class: "hint" }, "Nothing was found."));
  const source = annotators ? h("p", { class: "muted small" }, `Answered by ${annotators.replaceAll("=", " ").replaceAll(",", ", ")}.`) : "";
  parts.push(h("section", { class: "card" }, h("h3", {}, "Answer"), source, tree(response, { open: 1, label: "The answer" })));
  return parts;
}

function pointing(row, shape) {
  if (!shape) return row;
  const frame = $("workbench-frame");
  for (const kind of ["mouseenter", "focus"]) row.addEventListener(kind, () => point(frame, shape));
  for (const kind of ["mouseleave", "blur"]) row.addEventListener(kind, () => point(frame, null));
  row.tabIndex = 0;
  return row;
}

function bars(rows) {
  return h(
    "ul",
    { class: "bars" },
    rows.map(([name, score, shape]) => {
      const fill = h("i", { "aria-hidden": "true" });
      fill.style.width = `${Math.min(100, Math.max(0, 100 * score))}%`;
      return pointing(h("li", {}, h("span", { class: "label" }, name ?? "no name"), h("span", { class: "muted" }, percent(score)), h("span", { class: "track" }, fill)), shape);
    }),
  );
}

function face(each, index) {
  const likely = Object.entries(each).filter(([name, value]) => name.endsWith("Likelihood") && LIKELIHOODS.indexOf(value) >= LIKELIHOODS.indexOf("POSSIBLE"));
  const said = likely.map(([name, value]) => `${name.replace("Likelihood", "")} ${lower(value)}`).join(", ");
  return pointing(h("li", {}, `${percent(each.detectionConfidence ?? 0)}${said ? `: ${said}` : ", no expression"}`), `faces-${index}`);
}

function meter([name, value]) {
  const level = LIKELIHOODS.indexOf(value);
  const steps = LIKELIHOODS.slice(1).map((_, index) => h("i", { class: index < level ? "on" : "" }));
  return [h("dt", {}, name), h("dd", { title: lower(value) }, h("span", { class: `meter level-${level}`, "aria-hidden": "true" }, steps), h("span", { class: "muted" }, lower(value)))];
}

// ---- fixtures ----

async function save() {
  if (answered === null) return;
  const sha256 = await digest(await picture.blob.arrayBuffer());
  const choices = [h("option", { value: "sha256" }, `these very bytes (sha256 ${sha256.slice(0, 12)}…)`)];
  if (picture.uri) choices.unshift(h("option", { value: "uri" }, picture.uri));
  const text = h("textarea", { name: "response", class: "mono", rows: 14, spellcheck: "false", required: true });
  text.value = JSON.stringify(answered.response, null, 2);
  const id = h("input", { name: "id", class: "mono", required: true, pattern: "[A-Za-z0-9_.\\-]+", value: last(picture.name.replace(/\.[^.]*$/, "")).replace(/[^\w.-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60) || "answer" });
  const given = await ask({
    title: "Save the answer as a fixture",
    text: "Whoever asks about this image gets the answer below from then on, until the server is reset. Change it as you like.",
    yes: "Save",
    fields: [field("Name", id), field("For", h("select", { name: "match" }, choices)), field("Answer", text)],
    check: async (values) => {
      let response;
      try {
        response = JSON.parse(values.response);
      } catch (wrong) {
        throw new Error(`The answer is no JSON: ${wrong.message}`);
      }
      const { error, ...found } = response;
      const match = values.match === "uri" ? { uri: picture.uri } : { sha256 };
      await control("PUT", `/fixtures/${encodeURIComponent(values.id)}`, { match, ...(error ? { error } : { response: found }) });
    },
  });
  if (given === null) return;
  note("Saved. Every client gets this answer now.");
  await load();
}

export async function load() {
  let state;
  try {
    state = await control("GET", "/fixtures?limit=200");
  } catch (failure) {
    say($("fixtures-empty"), failure.message);
    $("fixtures-empty").hidden = false;
    $("fixtures-clear").hidden = true;
    return;
  }
  const added = state.rules.filter((rule) => rule.id);
  say(document.querySelector("[data-tally=workbench]"), added.length ? plural(added.length, "fixture") : "");
  $("fixtures-empty").hidden = added.length > 0;
  $("fixtures-clear").hidden = added.length === 0;
  keep($("fixtures-list"), added, (rule) => rule.id, fixture, (element, rule) => say(element.querySelector(".uses"), `used ${plural(rule.uses, "time")}`));
}

function fixture(rule) {
  const match = Object.entries(rule.rule.match).map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const remove = doing(async () => (await control("DELETE", `/fixtures/${encodeURIComponent(rule.id)}`), load()));
  return h(
    "li",
    { class: "row" },
    h("strong", {}, rule.id),
    h("span", { class: "mono muted ellipsis grow" }, match.join(", ")),
    h("span", { class: "uses muted" }),
    h("button", { type: "button", class: "quiet", "aria-label": `Remove ${rule.id}`, onclick: remove }, "Remove"),
  );
}

async function forgetAll() {
  const sure = await ask({ title: "Forget every fixture given while it runs?", text: "Those in files stay.", yes: "Forget them", danger: true });
  if (sure === null) return;
  await control("DELETE", "/fixtures");
  await load();
}
