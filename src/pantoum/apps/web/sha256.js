// SHA-256 (FIPS 180-4). The browser's own is there on secure addresses only, and a page is also read from http.

const ROUNDS = 64;
const K = new Int32Array(ROUNDS);
const START = new Int32Array(8);

// The constants are the first bits of the roots of the first primes.
{
  let found = 0;
  for (let n = 2; found < ROUNDS; ++n) {
    let prime = true;
    for (let d = 2; d * d <= n; ++d) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (found < 8) START[found] = (Math.sqrt(n) % 1) * 2 ** 32;
    K[found++] = (Math.cbrt(n) % 1) * 2 ** 32;
  }
}

/**
 * @param {...Uint8Array} parts one after the other
 * @returns {Uint8Array}
 */
export function sha256(...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const state = START.slice();
  const w = new Int32Array(ROUNDS);
  const block = new Uint8Array(64);
  const view = new DataView(block.buffer);
  let filled = 0;
  const compress = (/** @type {DataView} */ from, /** @type {number} */ at) => {
    for (let i = 0; i < 16; ++i) w[i] = from.getInt32(at + 4 * i);
    for (let i = 16; i < ROUNDS; ++i) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < ROUNDS; ++i) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  };
  for (const part of parts) {
    const own = new DataView(part.buffer, part.byteOffset, part.length);
    let at = 0;
    while (at < part.length) {
      if (filled === 0 && part.length - at >= 64) {
        compress(own, at);
        at += 64;
        continue;
      }
      block[filled++] = part[at++];
      if (filled === 64) {
        compress(view, 0);
        filled = 0;
      }
    }
  }
  block[filled++] = 0x80;
  block.fill(0, filled);
  if (filled > 56) {
    compress(view, 0);
    block.fill(0);
  }
  view.setUint32(56, Math.floor(length / 2 ** 29));
  view.setUint32(60, (length * 8) >>> 0);
  compress(view, 0);
  const digest = new Uint8Array(32);
  const written = new DataView(digest.buffer);
  state.forEach((word, i) => written.setInt32(4 * i, word));
  return digest;
}

/** @param {Uint8Array} bytes */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
