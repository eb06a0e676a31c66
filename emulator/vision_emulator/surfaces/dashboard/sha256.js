// SHA-256. Browsers have their own only for pages that come encrypted or from this machine, and the emulator may run on another.

/** The digest of an ArrayBuffer, in hex. */
export async function digest(buffer) {
  const bytes = globalThis.crypto?.subtle ? new Uint8Array(await crypto.subtle.digest("SHA-256", buffer)) : computed(new Uint8Array(buffer));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The same in plain arithmetic. */
export function computed(message) {
  const length = message.length;
  const padded = new Uint8Array(Math.ceil((length + 9) / 64) * 64);
  padded.set(message);
  padded[length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(length / 2 ** 29));
  view.setUint32(padded.length - 4, (length << 3) >>> 0);
  const state = primes(8).map((prime) => fraction(prime ** (1 / 2)));
  const round = primes(64).map((prime) => fraction(prime ** (1 / 3)));
  const words = new Uint32Array(64);
  const turned = (word, bits) => (word >>> bits) | (word << (32 - bits));
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getUint32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const near = words[i - 2];
      const far = words[i - 15];
      const one = turned(near, 17) ^ turned(near, 19) ^ (near >>> 10);
      const other = turned(far, 7) ^ turned(far, 18) ^ (far >>> 3);
      words[i] = words[i - 16] + other + words[i - 7] + one;
    }
    let [a, b, c, d, e, f, g, last] = state;
    for (let i = 0; i < 64; i++) {
      const choice = (e & f) ^ (~e & g);
      const most = (a & b) ^ (a & c) ^ (b & c);
      const first = (last + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + choice + round[i] + words[i]) | 0;
      const second = ((turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + most) | 0;
      [a, b, c, d, e, f, g, last] = [(first + second) | 0, a, b, c, (d + first) | 0, e, f, g];
    }
    [a, b, c, d, e, f, g, last].forEach((word, i) => (state[i] = (state[i] + word) >>> 0));
  }
  const result = new DataView(new ArrayBuffer(32));
  state.forEach((word, i) => result.setUint32(4 * i, word));
  return new Uint8Array(result.buffer);
}

const fraction = (value) => Math.floor((value % 1) * 2 ** 32);

function primes(count) {
  const found = [];
  for (let each = 2; found.length < count; each++) if (found.every((prime) => each % prime)) found.push(each);
  return found;
}
