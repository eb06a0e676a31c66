// The control API as the page uses it, and the API of Vision itself; whatever goes wrong is a sentence.

import { ask, field, h } from "./dom.js";

const ROOT = "/_emulator/v1";
const KEPT_AS = "vision-emulator-token";
const RETRY_MILLISECONDS = [250, 500, 1000, 2000, 4000];

/** What a call was refused with, or why there was no answer. */
export class Failure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let asking = null;
let declined = false; // who does not want to give the token is not asked again

/** Takes the token out of the address, where it would be seen and copied. */
export function takeToken() {
  const address = new URL(location.href);
  const token = address.searchParams.get("token");
  if (token) sessionStorage.setItem(KEPT_AS, token);
  if (address.searchParams.has("token")) {
    address.searchParams.delete("token");
    history.replaceState(null, "", address);
  }
}

/** A response of the control API that is no refusal; asks for the token when one is needed, once for all who wait for it. */
async function reach(verb, path, body, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(KEPT_AS);
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    let response;
    try {
      response = await fetch(ROOT + path, { method: verb, body, headers, signal: options.signal, cache: "no-store" });
    } catch (failure) {
      throw failure.name === "AbortError" ? failure : new Failure("The emulator does not answer; it may have been stopped.", 0);
    }
    if (response.status === 401 && !declined) {
      asking ??= askToken(Boolean(token)).finally(() => (asking = null));
      if (await asking) continue;
    }
    if (!response.ok) throw new Failure(await refusal(response), response.status);
    return response;
  }
}

async function refusal(response) {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text);
    return typeof error === "string" ? error : error.message;
  } catch {
    return `The emulator answered ${response.status}, without saying why.`;
  }
}

async function askToken(wrong) {
  const input = h("input", { name: "token", type: "password", required: true, autocomplete: "off" });
  const given = await ask({
    title: "The control token, please",
    text: `${wrong ? "That token is not the one. " : ""}The emulator was started with --control-token. This browser tab keeps the token until it is closed.`,
    yes: "Use it",
    fields: [field("Token", input)],
  });
  declined = given === null;
  if (declined) return false;
  sessionStorage.setItem(KEPT_AS, given.token.trim());
  return true;
}

/** The JSON that a control call answers; `body` becomes JSON. */
export async function control(verb, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await reach(verb, path, body === undefined ? undefined : JSON.stringify(body), { headers });
  return response.json();
}

/** The content of an object. */
export async function content(uri) {
  const response = await reach("GET", objectPath(uri));
  return response.blob();
}

/** Stores a file. */
export async function store(uri, file) {
  await reach("PUT", objectPath(uri), file, { headers: { "Content-Type": file.type || "application/octet-stream" } });
}

export function objectPath(uri) {
  const [, bucket, name] = /^gs:\/\/([^/]+)\/(.+)$/s.exec(uri) ?? [];
  if (!bucket) throw new Failure(`${uri} is no place of an object; write gs://bucket/name.`, 0);
  return `/buckets/${encodeURIComponent(bucket)}/objects/${encodeURIComponent(name)}`;
}

/** A call of Vision itself, which needs no token. */
export async function vision(path, body) {
  const headers = { "Content-Type": "application/json", Authorization: "Bearer dashboard" };
  let response;
  try {
    response = await fetch(path, { method: "POST", body: JSON.stringify(body), headers });
  } catch {
    throw new Failure("The call broke off: the emulator was stopped, or a fault rule dropped the connection.", 0);
  }
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Failure("The answer is no JSON: a fault rule may have cut or corrupted it.", response.status);
  }
  if (!response.ok) throw new Failure(`${answer.error.status}: ${answer.error.message}`, response.status);
  return { answer, annotators: response.headers.get("x-vision-emulator-annotators") ?? "" };
}

/** Tells of every event for as long as the page is open; `online(true)` after each new beginning, when what went before was missed. */
export async function follow(tell, online) {
  for (let attempt = 0; ; attempt++) {
    try {
      const response = await reach("GET", "/events");
      attempt = 0;
      online(true);
      await read(response.body, tell);
      online(false, "The emulator was stopped");
    } catch (failure) {
      if (failure.status) online(false, "Refused", failure.message);
      else online(false, "No connection");
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS[Math.min(attempt, RETRY_MILLISECONDS.length - 1)]));
  }
}

async function read(body, tell) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const kind = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (kind && data) tell(kind, JSON.parse(data));
    }
  }
}
