// JSON to look through: it opens level by level, and a level is made when it is opened, so that long answers cost nothing until then.

import { copy, h } from "./dom.js";

const STRING_SHOWN = 400;
const ITEMS_SHOWN = 60;

/** A value as a tree with a button to copy it; `open` levels are open at first. */
export function tree(value, { open = 3, label = "JSON" } = {}) {
  const button = h("button", { type: "button", class: "quiet copy", onclick: () => copy(JSON.stringify(value, null, 2)) }, "Copy");
  button.setAttribute("aria-label", `Copy: ${label}`);
  return h("div", { class: "json mono", role: "group", "aria-label": label }, button, node(null, value, open));
}

function node(name, value, open) {
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
    if (inside.childElementCount === 0) more(inside, value, names, 0, open - 1);
  };
  details.addEventListener("toggle", () => details.open && fill());
  if (open > 0 && names.length <= ITEMS_SHOWN) {
    fill();
    details.open = true;
  }
  return details;
}

function more(inside, value, names, from, open) {
  const some = names.slice(from, from + ITEMS_SHOWN);
  inside.append(...some.map((name) => node(name, value[name], open)));
  const left = names.length - from - some.length;
  if (left <= 0) return;
  const button = h("button", { type: "button", class: "plain" }, `${left} more`);
  button.addEventListener("click", () => {
    button.remove();
    more(inside, value, names, from + ITEMS_SHOWN, open);
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
