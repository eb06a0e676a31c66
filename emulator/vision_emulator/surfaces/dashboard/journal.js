// The journal: every call as it happens, request and answer side by side.

import { control } from "./api.js";
import { $, Pick, ask, doing, download, h, note, say, snippet, tried } from "./dom.js";
import { place, tree } from "./json.js";
import { bytes, duration, last, number, plural, precise, time } from "./words.js";

const KEPT_MAX = 500; // calls in the page; the emulator keeps more
const CARDS_SHOWN = 6; // images of a call; all are in the request
const FIRST = 200; // of them asked for at the beginning

let go;
let list;
let calls = new Map(); // by number, the oldest first
let drawn = false;
let loads = 0; // how often everything was asked for: an older answer that comes late is let go
let arrived = []; // what was told while everything is asked for
let shown = null;
let detail = null; // number and code of the call that is in the detail

export function start(open) {
  go = open;
  list = new Pick($("journal-list"), { key: (call) => call.number, make: row, update, choose: (chosen) => go("journal", chosen) });
  for (const name of ["text", "method", "answer", "transport"]) $(`journal-${name}`).addEventListener("input", render);
  document.querySelector("#journal form").addEventListener("submit", (event) => event.preventDefault());
  $("journal-clear").addEventListener("click", doing(clear));
  $("journal-export").addEventListener("click", doing(exported));
  $("journal-empty").append(
    h("p", { class: "why" }, h("strong", {}, "No call yet.")),
    h("div", { class: "how" }, h("p", {}, "Point a client here, or try this:"), snippet(`curl ${location.origin}/v1/images:annotate --data '{"requests": [{"image": {"source": {"imageUri": "gs://cloud-samples-data/vision/label/wakeupcat.jpg"}}, "features": [{"type": "LABEL_DETECTION"}]}]}'`)),
  );
}

export async function load() {
  const mine = ++loads;
  arrived = [];
  const { entries } = await control("GET", `/journal?limit=${FIRST}`);
  if (mine !== loads) return;
  calls = new Map(entries.map((entry) => [entry.number, entry]));
  for (const call of arrived) if (call.number > newest() || calls.get(call.number)?.code === null) calls.set(call.number, call);
  detail = null;
  render();
}

/** Takes in what the stream of events says; a number that goes back means that the journal began anew. */
export function tell(kind, data) {
  if (kind === "missed") return tried(load);
  const known = calls.get(data.number);
  if (kind === "started" && known && known.at !== data.at) return tried(load);
  if (kind === "started" && !known && data.number < newest()) return tried(load);
  const call = kind === "finished" ? data : { ...data, code: null };
  if (kind === "finished" || !known) calls.set(data.number, call);
  arrived.push(call);
  if (arrived.length > KEPT_MAX) arrived.shift();
  while (calls.size > KEPT_MAX) calls.delete(calls.keys().next().value);
  if (!drawn) {
    drawn = true;
    requestAnimationFrame(() => ((drawn = false), render()));
  }
  return undefined;
}

/** Begins anew when somebody else has cleared the journal, of which no event tells. */
export async function check() {
  const { entries } = await control("GET", "/journal?limit=1");
  if ((entries[0]?.number ?? 0) < newest()) await load();
}

const newest = () => [...calls.keys()].pop() ?? 0;

export async function show(chosen) {
  shown = chosen ? Number(chosen) : null;
  detail = null;
  render();
}

export const move = (step) => list.move(step);

async function clear() {
  const sure = await ask({ title: "Forget every call?", text: "The journal begins anew, for tests that look at it, too.", yes: "Clear", danger: true });
  if (sure === null) return;
  await control("DELETE", "/journal");
  await load();
}

async function exported() {
  const archive = await control("GET", "/journal?format=har");
  download("vision-emulator.har", new Blob([JSON.stringify(archive, null, 2)], { type: "application/json" }));
  note("The calls were saved as vision-emulator.har, which the tools of browsers open.");
}

// ---- the list ----

function render() {
  const all = [...calls.values()].reverse();
  say(document.querySelector("[data-tally=journal]"), all.length ? number(newest()) : "");
  methods(all);
  const fitting = all.filter(fits);
  list.show(fitting);
  list.mark(shown);
  const empty = $("journal-empty");
  empty.hidden = fitting.length > 0;
  say(empty.querySelector("strong"), all.length ? "No call fits the filter." : "No call yet.");
  empty.querySelector(".how").hidden = all.length > 0;
  draw();
}

function methods(all) {
  const select = $("journal-method");
  const known = new Set([...select.options].map((option) => option.value));
  for (const name of new Set(all.map((call) => last(call.method)))) if (!known.has(name)) select.append(h("option", { value: name }, name));
}

function fits(call) {
  const method = $("journal-method").value;
  const answer = $("journal-answer").value;
  const transport = $("journal-transport").value;
  const text = $("journal-text").value.trim().toLowerCase();
  if (method && last(call.method) !== method) return false;
  if (transport && call.transport !== transport) return false;
  if (answer === "ok" && call.code !== "OK") return false;
  if (answer === "bad" && (call.code === "OK" || call.code === null)) return false;
  if (answer === "open" && call.code !== null) return false;
  if (answer === "fault" && !call.fault) return false;
  if (!text) return true;
  const said = [call.number, call.method, call.project, call.code, call.message, call.userAgent, call.client?.library, call.operation, call.fault];
  const images = (call.images ?? []).flatMap((image) => [image.uri, image.sha256, image.type]);
  return [...said, ...images].some((each) => String(each ?? "").toLowerCase().includes(text));
}

function row(call) {
  return h(
    "li",
    { class: "call-row" },
    h("i", { class: "dot" }),
    h("span", { class: "mono muted count" }, `${call.number}`),
    h("span", { class: "name" }, last(call.method)),
    h("span", { class: "code" }),
    h("span", { class: "took muted" }),
    h("span", { class: "about muted" }),
    h("time", { class: "muted" }, time(call.at)),
  );
}

function update(element, call) {
  if (element.call === call) return;
  element.call = call;
  element.querySelector(".dot").className = `dot ${tone(call)}`;
  const code = element.querySelector(".code");
  say(code, call.code ?? "…");
  code.className = `code ${tone(call)}`;
  say(element.querySelector(".took"), call.code === null ? "" : duration(call.seconds));
  say(element.querySelector(".about"), about(call));
}

function about(call) {
  const images = call.images ?? [];
  const first = images[0]?.uri ?? (images[0]?.type ? `${last(images[0].type)} ${size(images[0])}` : "");
  const what = images.length > 1 ? `${plural(images.length, "image")}: ${first} …` : first || (call.operation ? last(call.operation) : "");
  return [call.transport === "grpc" ? "gRPC" : call.transport === "rest" ? "REST" : call.transport, what, call.fault && `fault: ${call.fault}`].filter(Boolean).join(" · ");
}

function tone(call) {
  if (call.code === null) return "busy";
  if (call.code !== "OK") return "bad";
  return call.fault ? "warn" : "ok";
}

// ---- one call ----

function draw() {
  const panel = $("call");
  const call = shown === null ? undefined : calls.get(shown);
  const state = shown === null ? `none ${calls.size > 0}` : `${shown} ${call?.code} ${call?.at}`;
  if (detail === state) return;
  detail = state;
  if (call === undefined) {
    const hint = shown === null ? (calls.size ? "Choose a call to see what was asked and answered." : "") : `The journal has no call ${shown} any more.`;
    panel.replaceChildren(hint ? h("p", { class: "hint" }, hint) : "");
    return;
  }
  const images = call.images ?? [];
  panel.replaceChildren(
    h("h3", {}, `${last(call.method)} `, h("span", { class: `code ${tone(call)}` }, call.code ?? "in progress")),
    call.message ? h("p", { class: "fault" }, call.message) : "",
    facts(call),
    images.length ? h("ul", { class: "cards" }, images.slice(0, CARDS_SHOWN).map(card)) : "",
    images.length > CARDS_SHOWN ? h("p", { class: "muted" }, `and ${plural(images.length - CARDS_SHOWN, "image")} more, in the request`) : "",
    h(
      "div",
      { class: "sides" },
      h("section", { "aria-label": "Request" }, h("h4", {}, "Request"), call.request ? tree(call.request, { label: "Request" }) : h("p", { class: "muted" }, "Known when it is answered.")),
      h("section", { "aria-label": "Answer" }, h("h4", {}, "Answer"), answer(call)),
    ),
    call.headers ? h("details", { class: "more" }, h("summary", {}, "Headers"), tree({ request: call.headers, answer: call.answered }, { label: "Headers" })) : "",
  );
}

function answer(call) {
  if (call.answer) return tree(call.answer, { label: "Answer" });
  if (call.code === null) return h("p", { class: "muted" }, "It is being answered.");
  if (call.code !== "OK") return tree({ error: { status: call.code, message: call.message } }, { label: "Answer" });
  return h("p", { class: "muted" }, call.answerBytes ? `${bytes(call.answerBytes)}, more than the journal keeps.` : "Empty.");
}

function facts(call) {
  const who = call.client ? `${call.client.library} ${call.client.libraryVersion} (${call.client.language} ${call.client.languageVersion})` : call.userAgent;
  const annotators = Object.entries(call.annotators ?? {}).map(([name, count]) => `${name} ${count}`).join(", ");
  const known = [
    ["At", precise(call.at)],
    ["Took", call.code === null ? "" : duration(call.seconds)],
    ["Over", call.transport],
    ["Project", call.project],
    ["Client", who],
    ["Credentials", call.credentials],
    ["Deadline", call.deadline ? duration(call.deadline) : ""],
    ["Answered by", annotators],
    ["Fault", call.fault],
    ["Unknown fields", (call.unknownFields ?? []).join("; ")],
  ].filter(([, value]) => value);
  const operation = call.operation ? [h("dt", {}, "Operation"), h("dd", {}, h("a", { class: "mono", href: `#/operations/${last(call.operation)}` }, last(call.operation)))] : [];
  return h("dl", { class: "facts" }, known.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]), operation);
}

function card(image) {
  const uri = image.uri ?? "";
  const where = uri.startsWith("gs://") ? h("a", { class: "mono", href: place(uri) }, uri) : h("span", { class: "mono" }, uri || "inline");
  const what = [image.type, image.width ? size(image) : "", image.size ? bytes(image.size) : ""].filter(Boolean).join(" · ");
  return h("li", { class: "image-card" }, where, what ? h("span", { class: "muted" }, what) : "", image.sha256 ? h("span", { class: "mono muted small", title: image.sha256 }, `sha256 ${image.sha256.slice(0, 16)}…`) : "");
}

const size = (image) => (image.width ? `${image.width} × ${image.height}` : "");
