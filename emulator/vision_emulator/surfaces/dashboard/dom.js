// The page's elements. Data gets into them as text and attributes only, never as markup, so nothing in it can become a part of the page.

/** The element of this id. */
export const $ = (id) => document.getElementById(id);

/** A new element: `h("a", {class: "quiet", href: "#", onclick: act}, "text", child)`; null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for a part of a drawing. */
export function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets an element's text, and touches it only when that is another one. */
export function say(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

/**
 * Makes the children of `parent` those of `items`, in their order. An element stays as long as its item's key does and is only updated,
 * so that focus, selection and scrolling survive.
 */
export function keep(parent, items, key, make, update) {
  const known = parent.kept ?? new Map();
  const kept = new Map();
  let next = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let element = known.get(name);
    if (element === undefined) element = make(item);
    update?.(element, item);
    kept.set(name, element);
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
  for (const [name, element] of known) if (kept.get(name) !== element) element.remove();
  parent.kept = kept;
}

/** A list to choose from, by pointer and keyboard: it has one place in the order of tabs, and arrows move inside. */
export class Pick {
  constructor(list, { key, make, update, choose }) {
    Object.assign(this, { list, key, make, update, choose, items: [], chosen: null });
    list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.select(row.dataset.key);
    });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
      if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.move(step);
    });
  }

  show(items) {
    this.items = items;
    const make = (item) => {
      const row = this.make(item);
      row.setAttribute("role", "option");
      row.dataset.key = this.key(item);
      row.id = `${this.list.id}-${row.dataset.key}`;
      return row;
    };
    keep(this.list, items, this.key, make, this.update);
    this.list.hidden = items.length === 0;
    this.mark(this.chosen);
  }

  /** Shows which one is chosen, without choosing it. */
  mark(key) {
    this.chosen = key;
    for (const row of this.list.children) row.setAttribute("aria-selected", String(row.dataset.key === String(key)));
    const row = this.row();
    if (row) this.list.setAttribute("aria-activedescendant", row.id);
    else this.list.removeAttribute("aria-activedescendant");
  }

  row() {
    return [...this.list.children].find((row) => row.dataset.key === String(this.chosen));
  }

  select(key) {
    this.mark(key);
    this.row()?.scrollIntoView({ block: "nearest" });
    this.choose(key);
  }

  move(step) {
    if (this.items.length === 0) return;
    const keys = this.items.map((item) => String(this.key(item)));
    const at = keys.indexOf(String(this.chosen));
    const to = at < 0 ? 0 : Math.min(keys.length - 1, Math.max(0, at + step));
    this.select(keys[to]);
  }
}

/** A message that goes by itself; one about a failure stays until it is closed. */
export function note(text, bad = false) {
  if ([...$("notes").children].some((message) => message.firstElementChild.textContent === text)) return;
  const message = h("div", { class: bad ? "note bad" : "note", role: bad ? "alert" : "status" }, h("span", {}, text));
  const gone = () => message.remove();
  message.append(h("button", { type: "button", class: "quiet", "aria-label": "Close this message", onclick: gone }, "×"));
  $("notes").append(message);
  while ($("notes").children.length > NOTES_MAX) $("notes").firstElementChild.remove();
  if (!bad) setTimeout(gone, NOTE_MILLISECONDS);
}

const NOTES_MAX = 4;
const NOTE_MILLISECONDS = 4000;

/** Runs what a control does; what fails is said. */
export async function tried(work) {
  try {
    return await work();
  } catch (failure) {
    note(failure.message, true);
    return undefined;
  }
}

/** What `tried` makes of a handler: `onclick: doing(async () => …)`. */
export const doing = (work) => (event) => {
  event.preventDefault();
  tried(() => work(event));
};

/**
 * Asks in a dialog; answers the fields' values by name, or null when it was cancelled. `check` may refuse what was filled in, by throwing.
 */
export function ask({ title, text = "", yes = "OK", fields = [], check = async () => {}, danger = false }) {
  const dialog = $("asked");
  say($("asked-title"), title);
  say($("asked-text"), text);
  say($("asked-yes"), yes);
  say($("asked-fault"), "");
  $("asked-yes").classList.toggle("danger", danger);
  $("asked-fields").replaceChildren(...fields);
  const form = dialog.querySelector("form");
  return new Promise((resolve) => {
    const end = (value) => {
      form.onsubmit = dialog.oncancel = $("asked-no").onclick = null;
      dialog.close();
      resolve(value);
    };
    dialog.oncancel = (event) => {
      event.preventDefault();
      end(null);
    };
    $("asked-no").onclick = () => end(null);
    form.onsubmit = async (event) => {
      event.preventDefault();
      const values = Object.fromEntries(new FormData(form));
      try {
        await check(values);
        end(values);
      } catch (failure) {
        say($("asked-fault"), failure.message);
      }
    };
    dialog.showModal();
    dialog.querySelector("input, textarea, select")?.focus();
  });
}

/** A labelled field for `ask`. */
export function field(label, input) {
  return h("label", {}, label, input);
}

/** A line to copy, with a button that does it. */
export function snippet(text) {
  const button = h("button", { type: "button", class: "quiet", onclick: () => copy(text) }, "Copy");
  return h("div", { class: "snippet" }, h("pre", {}, text), button);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    note("Copied.");
  } catch {
    note("The browser does not let this page copy here; select the text and copy it yourself.", true);
  }
}

/** Saves bytes or text as a file. */
export function download(name, content) {
  const address = URL.createObjectURL(content);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
