// Usage: what the calls would have cost.

import { control } from "./api.js";
import { $, doing, h, say, snippet } from "./dom.js";
import { lower, number } from "./words.js";

let told = "";

export function start() {
  $("usage-month").addEventListener("change", doing(load));
}

export const show = () => load();

export async function load() {
  const asked = $("usage-month").value;
  const usage = await control("GET", `/usage${asked ? `?month=${encodeURIComponent(asked)}` : ""}`);
  if (!asked) $("usage-month").value = usage.month;
  if (!asked) say(document.querySelector("[data-tally=usage]"), usage.units ? money(usage.amount, usage.currency) : "");
  const text = JSON.stringify(usage);
  if (text === told) return;
  told = text;
  $("usage-body").replaceChildren(...(usage.projects.length ? bill(usage) : nothing(usage)));
}

const money = (amount, currency) => new Intl.NumberFormat("en", { style: "currency", currency }).format(amount);

function nothing(usage) {
  return [
    h(
      "div",
      { class: "empty" },
      h("p", {}, h("strong", {}, `Nothing was used in ${usage.month}.`)),
      h("p", {}, "Each feature of each image or page is a unit, as Vision bills them. Tests may ask for it, too:"),
      snippet(`curl ${location.origin}/_emulator/v1/usage`),
    ),
  ];
}

function bill(usage) {
  const summary = h(
    "div",
    { class: "figures" },
    figure(number(usage.units), "units"),
    figure(money(usage.amount, usage.currency), "would have been billed"),
    figure(number(usage.projects.length), usage.projects.length === 1 ? "project" : "projects"),
  );
  return [summary, ...usage.projects.map((project) => table(project, usage.currency))];
}

const figure = (value, name) => h("div", { class: "figure" }, h("strong", {}, value), h("span", { class: "muted" }, name));

function table(project, currency) {
  const heads = ["Feature", "Units", "Came with another", "Free tier", "Billed", "Amount"].map((name, index) => h("th", { scope: "col", class: index ? "right" : "" }, name));
  const rows = project.features.map((each) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, lower(each.feature)),
      [each.units, each.included, each.free, each.billed].map((count) => h("td", { class: count ? "right" : "right muted" }, number(count))),
      h("td", { class: "right" }, money(each.amount, currency)),
    ),
  );
  return h(
    "div",
    { class: "card" },
    h("h3", {}, project.project || "no project"),
    h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows), h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "All"), h("td", { class: "right" }, number(project.units)), h("td", { colspan: 3 }), h("td", { class: "right" }, money(project.amount, currency))))),
  );
}
