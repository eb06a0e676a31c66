// Numbers, times and names as people read them.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const whole = new Intl.NumberFormat("en");

export const number = (value) => whole.format(value);

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** A time of the emulator's clock, in seconds since 1970. */
export const time = (seconds) => clock.format(new Date(seconds * 1000));

export const precise = (seconds) => `${time(seconds)}.${String(Math.floor((seconds * 1000) % 1000)).padStart(3, "0")}`;

export function duration(seconds) {
  if (seconds < 0.001) return `${Math.max(0, Math.round(seconds * 1e6))} µs`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return `${Math.round(seconds / 60)} min`;
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  const power = Math.min(units.length - 1, count > 0 ? Math.floor(Math.log10(count) / 3) : 0);
  const value = count / 1000 ** power;
  return `${power && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

export const percent = (fraction) => `${Math.round(fraction * 100)} %`;

/** The last part of a dotted or slashed name. */
export const last = (name) => name.split(/[./]/).pop();

/** LABEL_DETECTION as "label detection". */
export const lower = (constant) => constant.toLowerCase().replaceAll("_", " ");
