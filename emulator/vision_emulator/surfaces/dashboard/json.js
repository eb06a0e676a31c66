// JSON to look through: it opens level by level, and a level is made when it is opened, so that long answers cost nothing until then.

import { copy, h } from "./dom.js";

const STRING_SHOWN = 400;
const ITEMS_SHOWN = 60; // of a list; a button shows more
const LINES_OPEN = 80;

/** A value as a tree with a button to copy it; at first `open` levels are open, as long as that is not too much to look at. */
export function tree(value, { open = 6, label = "JSON" } = {}) {
  const pending = []; // level by level, so that much in one place leaves room for what stands beside it
  const button = h("button", { type: "button", class: "quiet copy", onclick: () => copy(JSON.stringify(value, null, 2)) }, "Copy");
  button.setAttribute("aria-label", `Copy: ${label}`);
  const whole = h("div", { class: "json mono", role: "group", "aria-label": label }, button, node(null, value, open, pending));
  let lines = LINES_OPEN;
  for (const { names, unfold } of pending) {
    lines -= names.length;
    if (lines < 0) break;
    unfold();
  }
  return whole;
}

function node(name, value, open, pending) {
  const key = name === null ? null : h("span", { class: "key" }, `${name}: `);
  if (value === null || typeof value !== "object") return h("div", { class: "leaf" }, key, scalar(value));
  const names = Object.keys(value);
  const list = Array.isArray(value);
  if (names.length === 0) return h("div", { class: "leaf" }, key, h("span", { class: "muted" }, list ? "[ ]" : "{ }"));
  const count = list ? `[ ${names.length} ]` : `{ ${names.slice(0, 4).join(", ")}${names.length > 4 ? ", …" : ""} }`;
  const details = h("details", {}, h("summary", {}, key, h("span", { class: "muted count" }, count)));
  const inside = h("div", { class: "inside" });
  details.append(inside);
  const fill = () => {
    if (inside.childElementCount === 0) more(inside, value, names, 0, open - 1, pending);
  };
  details.addEventListener("toggle", () => details.open && fill());
  if (open > 0) pending?.push({ names, unfold: () => (fill(), (details.open = true)) });
  return details;
}

function more(inside, value, names, from, open, pending) {
  const some = names.slice(from, from + ITEMS_SHOWN);
  inside.append(...some.map((name) => node(name, value[name], open, pending)));
  const left = names.length - from - some.length;
  if (left <= 0) return;
  const button = h("button", { type: "button", class: "plain" }, `${left} more`);
  button.addEventListener("click", () => {
    button.remove();
    more(inside, value, names, from + ITEMS_SHOWN, 0, null);
  });
  inside.append(button);
}

function scalar(value) {
  if (typeof value !== "string") return h("span", { class: value === null ? "muted" : "number" }, String(value));
  if (value.length <= STRING_SHOWN) return string(value);
  const text = h("span", { class: "string" }, `“${value.slice(0, STRING_SHOWN)} …`);
  const button = h("button", { type: "button", class: "plain" }, `all ${value.length} characters`);
  button.addEventListener("click", () => (text.replaceWith(string(value)), button.remove()));
  return h("span", {}, text, " ", button);
}

function string(value) {
  const text = h("span", { class: "string" }, `"${value}"`);
  return /^gs:\/\/[^/*]+\/[^*]*[^/*]$/.test(value) ? h("a", { href: place(value) }, text) : text;
}

/** Where the page shows an object. */
export function place(uri) {
  const [bucket, ...name] = uri.replace(/^gs:\/\//, "").split("/");
  return `#/buckets/${encodeURIComponent(bucket)}/${encodeURIComponent(name.join("/"))}`;
}
