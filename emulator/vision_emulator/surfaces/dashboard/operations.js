// Operations: how far each is, its files, and the hand on it.

import { control } from "./api.js";
import { $, Pick, ask, doing, field, h, keep, say, snippet, tried } from "./dom.js";
import { place, tree } from "./json.js";
import { duration, last, number, percent, plural, time } from "./words.js";

const LISTED_MAX = 300;
const REFRESH_MILLISECONDS = 200; // changes that follow one another so closely are shown together
const SHARDS_SHOWN = 400;

let go;
let list;
let operations = new Map();
let waiting = null;
const asked = { all: 0, one: 0 }; // how often
const drawn = { all: 0, one: 0 }; // the newest question whose answer is shown: an older one's that comes late is let go
let shown = null; // the id of the one in detail
let detail = null;

export function start(open) {
  go = open;
  list = new Pick($("operations-list"), { key: id, make: row, update, choose: (chosen) => go("operations", chosen) });
  $("operations-state").addEventListener("change", render);
  $("operations-empty").append(
    h("p", {}, h("strong", {}, "No operation yet.")),
    h("p", {}, "An offline batch appears here as soon as it begins. Put an image into a bucket, and try this:"),
    snippet(
      `curl ${location.origin}/v1/images:asyncBatchAnnotate --data '{"requests": [{"image": {"source": {"imageUri": "gs://cloud-samples-data/vision/label/wakeupcat.jpg"}}, "features": [{"type": "LABEL_DETECTION"}]}], "outputConfig": {"gcsDestination": {"uri": "gs://results/run/"}}}'`,
    ),
  );
}

/** Asks how far all are; changes that come meanwhile are asked about once more, together. */
export function refresh() {
  waiting ??= setTimeout(async () => {
    waiting = null;
    await tried(load);
  }, REFRESH_MILLISECONDS);
}

export async function load() {
  const mine = ++asked.all;
  const answer = await control("GET", `/operations:progress?limit=${LISTED_MAX}`);
  if (mine < drawn.all) return;
  drawn.all = mine;
  operations = new Map(answer.operations.reverse().map((each) => [id(each), each]));
  const running = answer.operations.filter((each) => each.state === "RUNNING").length;
  say(document.querySelector("[data-tally=operations]"), running ? `${number(running)} running` : answer.total ? number(answer.total) : "");
  render();
  if (shown) await look();
}

export async function show(chosen) {
  shown = chosen || null;
  detail = null;
  await load();
}

const id = (operation) => last(operation.name);

function render() {
  const state = $("operations-state").value;
  const fitting = [...operations.values()].filter((each) => !state || each.state === state);
  list.show(fitting);
  list.mark(shown);
  $("operations-empty").hidden = operations.size > 0;
  if (!shown) blank(operations.size ? "Choose an operation to see its files and how clients polled it." : "");
}

function blank(text) {
  $("operation").kept = undefined;
  $("operation").replaceChildren(text ? h("p", { class: "hint" }, text) : "");
}

function row(operation) {
  return h(
    "li",
    { class: "operation-row" },
    h("i", { class: "dot" }),
    h("span", { class: "mono name" }, id(operation)),
    h("span", { class: "said" }),
    h("progress", { max: 1, value: 0, "aria-label": "Images looked at" }),
    h("span", { class: "counts muted" }),
    h("time", { class: "muted" }, time(operation.created)),
  );
}

function update(element, operation) {
  element.querySelector(".dot").className = `dot ${tone(operation)}`;
  say(element.querySelector(".said"), stateOf(operation));
  bar(element.querySelector("progress"), operation);
  say(element.querySelector(".counts"), counts(operation));
}

function bar(progress, operation) {
  const ended = operation.worked && operation.code === "OK";
  const value = ended ? 1 : operation.images ? operation.lookedAt / operation.images : 0;
  if (progress.value !== value) progress.value = value;
  progress.className = tone(operation);
}

function counts(operation) {
  const failed = operation.failed ? `, ${number(operation.failed)} failed` : "";
  return `${number(operation.lookedAt)} of ${plural(operation.images, last(operation.method).includes("Files") ? "page" : "image")}${failed} · ${number(operation.written)} of ${plural(operation.shards, "file")}`;
}

function tone(operation) {
  if (operation.state === "CANCELLED") return "idle";
  if (operation.worked && operation.code !== "OK") return "bad";
  if (operation.state === "DONE") return operation.failed ? "warn" : "ok";
  return "busy";
}

function stateOf(operation) {
  if (operation.state === "CANCELLED") return "cancelled";
  if (operation.worked && operation.state === "RUNNING") return `finished, hidden by pace ${operation.pace}`;
  if (operation.state === "DONE") return operation.code === "OK" ? "done" : operation.code;
  return operation.images ? `running, ${percent(operation.lookedAt / operation.images)}` : "running";
}

// ---- one operation ----

async function look() {
  const chosen = shown;
  const mine = ++asked.one;
  let progress;
  try {
    const path = `/operations/${encodeURIComponent(chosen)}`;
    progress = await control("GET", `${path}/progress`);
    progress.polls = await control("GET", `${path}/polls`);
    progress.seen = await control("GET", path);
  } catch (failure) {
    if (failure.status !== 404) throw failure;
    if (chosen === shown) blank("That operation is forgotten; the server was reset, or it was deleted.");
    return;
  }
  if (chosen !== shown || mine < drawn.one) return;
  drawn.one = mine;
  if (detail?.id !== chosen) detail = frame(chosen);
  fill(progress);
}

function frame(name) {
  const path = `/operations/${encodeURIComponent(name)}`;
  const act = (verb) => doing(async () => (await control("POST", `${path}:${verb}`), refresh()));
  const pace = h("input", { name: "pace", class: "mono", list: "paces", size: 12, "aria-label": "Pace of this operation" });
  const parts = {
    title: h("h3", { class: "mono" }),
    state: h("p", { class: "lead" }),
    progress: h("progress", { max: 1, value: 0, "aria-label": "Images looked at" }),
    counts: h("p", { class: "muted" }),
    facts: h("p", { class: "muted" }),
    shards: h("div", { class: "shards stack", "data-empty": "None yet." }),
    polls: h("div"),
    json: h("div"),
    buttons: h(
      "div",
      { class: "row", role: "group", "aria-label": "By hand" },
      h("button", { type: "button", "data-act": "advance", title: "One step nearer to done", onclick: act("advance") }, "Advance"),
      h("button", { type: "button", "data-act": "complete", title: "Clients see the result now", onclick: act("complete") }, "Complete"),
      h("button", { type: "button", "data-act": "fail", onclick: doing(() => fail(path)) }, "Fail …"),
      h("button", { type: "button", "data-act": "cancel", onclick: act("cancel") }, "Cancel"),
      h(
        "form",
        { class: "row tight", onsubmit: doing(async () => (await control("PUT", `${path}/pace`, { pace: pace.value }), refresh())) },
        pace,
        h("button", {}, "Set pace"),
      ),
    ),
    pace,
  };
  const options = ["auto", "instant", "polls:2", "seconds:5", "manual", "never"].map((value) => h("option", { value }));
  $("operation").replaceChildren(
    h("div", { class: "stack" }, parts.title, parts.state, h("div", {}, parts.progress, parts.counts), parts.buttons, parts.facts),
    h("h4", {}, "Files"),
    parts.shards,
    h("h4", {}, "How clients polled"),
    parts.polls,
    h("h4", {}, "As clients see it"),
    parts.json,
    h("datalist", { id: "paces" }, options),
  );
  return { id: name, parts, told: "" };
}

async function fail(path) {
  const given = await ask({
    title: "End the operation with an error",
    yes: "Fail it",
    danger: true,
    fields: [
      field("Code", h("input", { name: "code", value: "INTERNAL", class: "mono", list: "codes", required: true })),
      h("datalist", { id: "codes" }, ["INTERNAL", "UNAVAILABLE", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"].map((value) => h("option", { value }))),
      field("Message", h("input", { name: "message", placeholder: "Google's general text for the code" })),
    ],
    check: (values) => control("POST", `${path}:fail`, values),
  });
  if (given) refresh();
}

function fill(progress) {
  const { parts } = detail;
  say(parts.title, progress.name);
  say(parts.state, [stateOf(progress), progress.message].filter(Boolean).join(": "));
  parts.state.className = `lead ${tone(progress)}`;
  bar(parts.progress, progress);
  say(parts.counts, counts(progress));
  say(
    parts.facts,
    `${last(progress.method)}, begun ${time(progress.created)}, ${progress.worked ? `worked for ${duration(progress.updated - progress.created)}` : "working"}; pace ${progress.pace}; ${plural(progress.attempts, "poll")}`,
  );
  const over = progress.state !== "RUNNING";
  for (const button of parts.buttons.querySelectorAll("button")) button.disabled = over;
  if (!parts.pace.dataset.set) {
    parts.pace.value = progress.pace;
    parts.pace.dataset.set = "yes";
  }
  keep(
    parts.shards,
    progress.outputs.map((output, index) => ({ ...output, index })),
    (output) => output.index,
    (output) => h("div", {}, h("p", { class: "mono muted small" }, output.destination), h("ol", { class: "shard-list" }), h("p", { class: "muted small" })),
    (element, output) => {
      keep(element.querySelector("ol"), output.shards.slice(0, SHARDS_SHOWN), (shard) => `${shard.first} ${shard.written}`, shardItem);
      const left = output.shards.length - SHARDS_SHOWN;
      say(element.lastElementChild, left > 0 ? `and ${plural(left, "file")} more, in the bucket` : "");
    },
  );
  const told = JSON.stringify([progress.polls, progress.seen]);
  if (told === detail.told) return;
  detail.told = told;
  parts.polls.replaceChildren(polls(progress.polls));
  parts.json.replaceChildren(tree(progress.seen, { label: "The operation" }));
}

function shardItem(shard) {
  const name = last(shard.uri.replace(/\.json$/, ""));
  const range = shard.first === shard.last ? `${shard.first}` : `${shard.first}–${shard.last}`;
  if (!shard.written) return h("li", { class: "shard pending", title: `${name}.json, not yet written` }, range);
  return h("li", { class: "shard" }, h("a", { href: place(shard.uri), title: `${name}.json` }, range));
}

function polls({ clients }) {
  if (clients.length === 0) return h("p", { class: "muted" }, "No client has asked for it yet.");
  const rows = clients.map((client) =>
    h(
      "tr",
      {},
      h("td", {}, client.client || client.userAgent || "no name"),
      h("td", {}, client.transport),
      h("td", { class: "right" }, number(client.attempts)),
      h("td", { class: "right" }, client.gaps.length ? `${duration(Math.min(...client.gaps))} to ${duration(Math.max(...client.gaps))}` : "–"),
      h("td", {}, client.sawDone ? "saw it done" : "not yet"),
    ),
  );
  const head = ["Client", "Over", "Polls", "Gaps", "Result"].map((name) => h("th", { scope: "col" }, name));
  return h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
}

export const move = (step) => list.move(step);
