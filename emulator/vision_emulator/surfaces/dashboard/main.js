// The page as a whole: which panel is shown, what is told to whom, and the keys.

import { control, follow, takeToken } from "./api.js";
import * as buckets from "./buckets.js";
import { $, ask, doing, note, say, tried } from "./dom.js";
import * as journal from "./journal.js";
import * as levers from "./levers.js";
import * as operations from "./operations.js";
import * as usage from "./usage.js";
import * as workbench from "./workbench.js";

const PANELS = { operations, journal, workbench, buckets, levers, usage };
const NAMES = Object.keys(PANELS);
const LOOK_MILLISECONDS = 2000; // how often what no event tells of is asked for, while it is looked at
const SECOND_MILLISECONDS = 1000;
const THEMES = { system: ["◐", "as the system has them"], light: ["☀", "light"], dark: ["☾", "dark"] };

let open = "";
let complained = ""; // why there was no connection, when somebody said so

/** Shows a panel, and what is in it: `go("journal", 12)`. */
function go(...parts) {
  const address = `#/${parts.filter((part) => part !== null && part !== undefined).map(encodeURIComponent).join("/")}`;
  if (address !== location.hash) history.replaceState(null, "", address);
  route();
}

function route() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const panel = PANELS[name] ? name : "operations";
  if (panel !== open) {
    open = panel;
    for (const each of NAMES) $(each).hidden = each !== panel;
    for (const link of document.querySelectorAll("[data-panel]")) {
      if (link.dataset.panel === panel) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${$(`${panel}-title`).textContent} · Vision emulator`;
  }
  tried(() => PANELS[panel].show(...rest));
}

// ---- what happens ----

function tell(kind, data) {
  if (kind === "operation" || kind === "missed") operations.refresh();
  if (kind !== "operation") journal.tell(kind, data);
  if (kind === "finished" && data.fault) tried(levers.faults);
}

async function online(on, why = "", reason = "") {
  const link = $("link");
  link.firstElementChild.className = `dot ${on ? "ok" : "bad"}`;
  say(link.lastElementChild, on ? "Live" : why);
  document.body.classList.toggle("offline", !on);
  if (reason && reason !== complained) note(reason, true);
  complained = reason;
  if (on) await reload();
}

/** Everything anew: the server is another one, or was reset. */
async function reload() {
  await tried(() => Promise.all([operations.load(), journal.load(), levers.faults(), workbench.load(), buckets.load(), usage.load()]));
}

async function look() {
  if (document.hidden || document.body.classList.contains("offline")) return;
  const asked = { operations: operations.load, journal: journal.check, workbench: workbench.load, buckets: async () => (await buckets.load(), buckets.fill()), levers: levers.load, usage: usage.load };
  try {
    await asked[open]();
  } catch (failure) {
    if (failure.status) note(failure.message, true); // the stream of events says when there is no connection
  }
}

// ---- the side, the keys ----

function theme(next) {
  const now = document.documentElement.dataset.theme;
  const names = Object.keys(THEMES);
  const chosen = next ? names[(names.indexOf(now) + 1) % names.length] : now;
  document.documentElement.dataset.theme = chosen;
  localStorage.setItem("vision-emulator-theme", chosen);
  const [sign, meaning] = THEMES[chosen];
  say($("theme").firstElementChild, sign);
  $("theme").setAttribute("aria-label", `Colours: ${meaning}`);
  $("theme").title = `Colours: ${meaning} (t)`;
}

async function reset() {
  const sure = await ask({
    title: "Back to how it was at the start?",
    text: "Operations, journal, faults, fixtures given while it runs, usage and clock; buckets, too, unless they are a folder of yours.",
    yes: "Reset",
    danger: true,
  });
  if (sure === null) return;
  await control("POST", "/reset");
  note("The emulator is as it was at the start.");
  await reload();
  route();
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const writing = event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select");
  if (event.key === "Escape" && writing) event.target.blur();
  if (writing) return;
  const number = Number(event.key);
  if (number >= 1 && number <= NAMES.length) go(NAMES[number - 1]);
  else if (event.key === "j" || event.key === "k") PANELS[open].move?.(event.key === "j" ? 1 : -1);
  else if (event.key === "t") theme(true);
  else if (event.key === "?") $("shortcuts").showModal();
  else if (event.key === "/") document.querySelector(`#${open} [data-filter]`)?.focus();
  else return;
  event.preventDefault();
}

takeToken();
theme(false);
say($("address"), location.host);
for (const name of NAMES) PANELS[name].start(go);
$("theme").addEventListener("click", () => theme(true));
$("help").addEventListener("click", () => $("shortcuts").showModal());
$("reset").addEventListener("click", doing(reset));
addEventListener("keydown", press);
addEventListener("hashchange", route);
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault()); // a file beside its place must not replace the page
setInterval(look, LOOK_MILLISECONDS);
setInterval(levers.tick, SECOND_MILLISECONDS);
follow(tell, online);
route();
