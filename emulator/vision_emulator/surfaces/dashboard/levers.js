// Faults, pace and clock: the levers of the whole server.

import { control } from "./api.js";
import { $, doing, field, h, keep, note, say } from "./dom.js";
import { last, number, plural, precise, time } from "./words.js";

const STRIKES_SHOWN = 8;
const RULES_TOLD = 20; // the newest, whose strikes are listed
const PACES = [
  ["auto", "at once; a first poll waits for the work"],
  ["instant", "in the answer that begins it"],
  ["polls", "after so many polls", 2],
  ["seconds", "after so many seconds", 5],
  ["manual", "when you complete it by hand"],
  ["never", "no poll ever finds it done"],
];
const RULE = {
  method: "BatchAnnotateImages",
  script: [{ fault: "delay", seconds: 0.5 }, { fault: "reject", code: "UNAVAILABLE" }],
  times: 1,
};

const strikes = new Map(); // by the rule's id: how many, and the newest
let writing = false; // a number of the pace
let time0 = null; // the emulator's clock when it was last asked, and when that was

export function start() {
  $("rule-json").value = JSON.stringify(RULE, null, 2);
  $("rule-form").addEventListener("submit", doing(addRule));
  $("faults-clear").addEventListener("click", doing(async () => (await control("DELETE", "/faults"), faults())));
  $("pace-form").append(...PACES.map(pace));
  $("pace-form").addEventListener("submit", doing(() => setPace()));
  $("pace-form").addEventListener("change", doing(() => setPace()));
  $("clock-manual").addEventListener("change", doing(() => setClock()));
  $("clock-form").addEventListener("submit", doing(advance));
}

export async function show() {
  await load();
  if ($("presets").childElementCount === 0) {
    const answer = await control("GET", "/faults/presets");
    $("presets").replaceChildren(...answer.presets.map(preset));
  }
}

/** What the levers stand at, for others may move them, too. */
export async function load() {
  await Promise.all([faults(), showPace(), showClock()]);
}

// ---- faults ----

export async function faults() {
  const { faults: rules } = await control("GET", "/faults");
  const active = rules.filter((rule) => !rule.exhausted && !rule.expired).length;
  say(document.querySelector("[data-tally=levers]"), active ? `${number(active)} on` : "");
  rules.reverse();
  for (const id of strikes.keys()) if (!rules.some((rule) => rule.id === id)) strikes.delete(id);
  await Promise.all(rules.slice(0, RULES_TOLD).map(told));
  keep($("faults-list"), rules, (rule) => rule.id, ruleItem, updateRule);
  $("faults-empty").hidden = rules.length > 0;
  $("faults-clear").hidden = rules.length < 2;
}

/** Adds what a rule struck, which the list leaves out; asked for again only when that has become more. */
async function told(report) {
  if (report.struck === 0) return;
  const before = strikes.get(report.id);
  if (before?.struck !== report.struck) {
    try {
      const whole = await control("GET", `/faults/${encodeURIComponent(report.id)}`);
      strikes.set(report.id, { struck: whole.struck, list: whole.strikes });
    } catch (failure) {
      if (failure.status !== 404) throw failure; // it was removed meanwhile, as the next list will say
    }
  }
  report.strikes = strikes.get(report.id)?.list ?? [];
}

function ruleItem(report) {
  const remove = doing(async () => (await control("DELETE", `/faults/${encodeURIComponent(report.id)}`), faults()));
  return h(
    "li",
    { class: "rule" },
    h("div", { class: "row" }, h("i", { class: "dot" }), h("strong", { class: "grow ellipsis" }, report.rule.script.map(step).join(", then ")), h("button", { type: "button", class: "quiet", "aria-label": `Remove the rule ${report.id}`, onclick: remove }, "Remove")),
    h("p", { class: "muted small" }, [report.id, whom(report)].filter(Boolean).join(" · ")),
    h("p", { class: "told" }),
    h("ol", { class: "strikes mono small" }),
  );
}

function updateRule(element, report) {
  const over = report.expired ? "its time is over" : report.exhausted ? "used up" : report.remaining === null ? "for every call" : `${number(report.remaining)} left`;
  element.querySelector(".dot").className = `dot ${report.expired || report.exhausted ? "idle" : "busy"}`;
  say(element.querySelector(".told"), report.struck ? `Struck ${plural(report.struck, "time")}, ${over}.` : `Nothing struck yet, ${over}.`);
  const newest = report.strikes.slice(-STRIKES_SHOWN).reverse().map((strike, index) => ({ ...strike, order: report.struck - index }));
  keep(element.querySelector(".strikes"), newest, (strike) => strike.order, struck);
}

function struck(strike) {
  const what = `${precise(strike.at)} ${strike.fault} ${last(strike.method)}${strike.index === undefined || strike.index === null ? "" : ` image ${strike.index}`}`;
  return h("li", {}, strike.call ? h("a", { href: `#/journal/${strike.call}` }, what) : what);
}

function step(entry) {
  if (Array.isArray(entry)) return entry.map(step).join(" and ");
  const { fault, code, seconds, lower, upper, median, shard, bytes, when } = entry;
  const said = [code, seconds !== undefined && `${seconds} s`, upper !== undefined && lower !== undefined && `${lower} to ${upper} s`, median !== undefined && `about ${median} s`, shard && `file ${shard}`, bytes !== undefined && bytes !== null && `${bytes} bytes`, when];
  return [fault.replaceAll("_", " "), ...said.filter(Boolean)].join(" ");
}

function whom({ project, rule }) {
  const methods = rule.method === undefined || rule.method.length === 0 ? "" : [rule.method].flat().join(", ");
  const { index, uri, sha256 } = rule.image ?? {};
  const image = rule.image ? `images ${[index === undefined ? "" : [index].flat().join(", "), uri, sha256?.slice(0, 12)].filter(Boolean).join(" ")}` : "";
  return [methods, image, project && `project ${project}`, rule.selected && "only calls that name it", rule.transport && rule.transport !== "any" && rule.transport].filter(Boolean).join(" · ");
}

function preset({ name, summary, parameters }) {
  const inputs = parameters.map((parameter) => ({ ...parameter, input: h("input", { name: parameter.name, class: "mono", value: typeof parameter.default === "string" ? parameter.default : JSON.stringify(parameter.default) }) }));
  const times = h("select", { "aria-label": `How often ${name} strikes` }, [["1", "once"], ["3", "three times"], ["", "every time"]].map(([value, text]) => h("option", { value }, text)));
  const submit = doing(async () => {
    const given = Object.fromEntries(inputs.map(({ name: key, default: standard, input }) => [key, typed(key, input.value, standard)]));
    const body = { preset: name, times: times.value ? Number(times.value) : null, ...(inputs.length ? { parameters: given } : {}) };
    await control("POST", "/faults", body);
    note(`${name} is on.`);
    await faults();
  });
  return h(
    "li",
    {},
    h(
      "form",
      { class: "preset", "data-preset": name, onsubmit: submit },
      h("div", { class: "row" }, h("strong", { class: "mono" }, name), h("span", { class: "grow" }), times, h("button", {}, "Switch on")),
      h("p", { class: "muted small" }, `${summary}.`),
      inputs.length ? h("details", { class: "parameters" }, h("summary", { class: "small" }, inputs.map((each) => each.name).join(", ")), h("div", { class: "grid" }, inputs.map(({ name: key, input }) => field(key, input)))) : "",
    ),
  );
}

/** What was written, as the kind of value that the parameter is by itself. */
function typed(name, text, standard) {
  if (typeof standard === "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${name}: write it as ${JSON.stringify(standard)} is written, not as ${text || "nothing"}.`);
  }
}

async function addRule() {
  let rule;
  try {
    rule = JSON.parse($("rule-json").value);
  } catch (wrong) {
    throw new Error(`The rule is no JSON: ${wrong.message}`);
  }
  const { id } = await control("POST", "/faults", rule);
  note(`The rule ${id} is on.`);
  await faults();
}

// ---- pace ----

function pace([kind, meaning, standard]) {
  const choice = h("input", { type: "radio", name: "pace", value: kind, id: `pace-${kind}` });
  const most = standard === undefined ? "" : h("input", { type: "number", min: 0, step: kind === "polls" ? 1 : "any", value: standard, id: `pace-${kind}-number`, "aria-label": meaning, oninput: () => (choice.checked = writing = true) });
  return h("div", { class: "pace" }, choice, h("label", { for: choice.id }, h("span", { class: "mono" }, kind), " ", h("span", { class: "muted" }, meaning)), most);
}

async function setPace() {
  writing = false;
  const kind = $("pace-form").querySelector("input[name=pace]:checked")?.value;
  if (!kind) return;
  const text = $(`pace-${kind}-number`)?.value;
  await control("PUT", "/pace", { pace: text === undefined ? kind : `${kind}:${text}` });
}

async function showPace() {
  const { pace: now } = await control("GET", "/pace");
  const [kind, most] = now.split(":");
  if (writing) return; // not under the hands of who does
  $(`pace-${kind}`).checked = true;
  if (most !== undefined) $(`pace-${kind}-number`).value = Number(most);
}

// ---- clock ----

async function setClock() {
  shownClock(await control("PUT", "/clock", { mode: $("clock-manual").checked ? "manual" : "system" }));
}

async function advance() {
  shownClock(await control("POST", "/clock:advance", { seconds: Number($("clock-seconds").value) }));
}

async function showClock() {
  shownClock(await control("GET", "/clock"));
}

function shownClock({ mode, now }) {
  time0 = { now, asked: performance.now(), manual: mode === "manual" };
  $("clock-manual").checked = time0.manual;
  $("clock-form").querySelector("button").disabled = !time0.manual;
  tick();
}

/** Moves the clock on that is shown; called every second while the panel is. */
export function tick() {
  if (time0 === null) return;
  const now = time0.manual ? time0.now : time0.now + (performance.now() - time0.asked) / 1000;
  const date = new Date(now * 1000);
  say($("clock-now"), `${date.toLocaleDateString("en-CA")} ${time(now)}${time0.manual ? ", stopped" : ""}`);
}
