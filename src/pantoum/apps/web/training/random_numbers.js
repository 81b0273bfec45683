// The random numbers with which a network begins, those that NumPy gives for the same seed: PCG64 (O'Neill 2014), its
// state mixed from the seed and the place of a parameter (SeedSequence, O'Neill 2015), uniform numbers, and normal ones
// by a ziggurat of 256 layers (Marsaglia and Tsang 2000).

import { WIDTHS } from "./ziggurat.js";

const MULTIPLIER = (2549297995355413924n << 64n) | 4865540595714422341n;
const POOL = 4;
const [INIT_A, MULT_A, INIT_B, MULT_B] = [0x43b0d7e5, 0x931e8875, 0x8b51f9dd, 0x58f38ded];
const [MIX_LEFT, MIX_RIGHT] = [0xca01f9dd, 0x4973f715];
/** Where the tail begins. */
const TAIL = 3.6541528853610088;
const SCALE = 2 ** 52;

/** @param {...number | bigint} words the seed, and the place */
export function generator(...words) {
  const state = mixed(words);
  const wide = (/** @type {number} */ at) => (BigInt(state[at + 1]) << 32n) | BigInt(state[at]);
  return new Generator((wide(0) << 64n) | wide(2), (wide(4) << 64n) | wide(6));
}

class Generator {
  /**
   * @param {bigint} start
   * @param {bigint} stream
   */
  constructor(start, stream) {
    this._increment = BigInt.asUintN(128, (stream << 1n) | 1n);
    this._state = BigInt.asUintN(128, (this._increment + start) * MULTIPLIER + this._increment);
  }

  /** 64 bits. */
  next() {
    this._state = BigInt.asUintN(128, this._state * MULTIPLIER + this._increment);
    const high = this._state >> 64n;
    const word = BigInt.asUintN(64, high ^ this._state);
    const turn = high >> 58n;
    return BigInt.asUintN(64, (word >> turn) | (word << (64n - turn)));
  }

  /** From 0 up to, but not including, 1. */
  double() {
    return Number(this.next() >> 11n) / 2 ** 53;
  }

  /**
   * From -spread to spread.
   * @param {number} spread
   */
  uniform(spread) {
    return -spread + 2 * spread * this.double();
  }

  /** Of mean 0 and deviation 1. */
  normal() {
    const { widths, heights, inside } = ziggurat();
    for (;;) {
      const bits = this.next();
      const layer = Number(bits & 0xffn);
      const size = Number((bits >> 9n) & 0xfffffffffffffn);
      const x = (bits >> 8n) & 1n ? -(size * widths[layer]) : size * widths[layer];
      if (size < inside[layer]) return x;
      if (layer) {
        if ((heights[layer - 1] - heights[layer]) * this.double() + heights[layer] < Math.exp(-0.5 * x * x)) return x;
        continue;
      }
      for (;;) {
        const beyond = -Math.log1p(-this.double()) / TAIL;
        const room = -Math.log1p(-this.double());
        if (room + room > beyond * beyond) return (BigInt(size) >> 8n) & 1n ? -(TAIL + beyond) : TAIL + beyond;
      }
    }
  }
}

/** @type {{widths: Float64Array, heights: Float64Array, inside: Float64Array} | null} */
let layers = null;

/** Of each layer its width, its height, and the numbers that are certainly below the curve. */
function ziggurat() {
  if (layers) return layers;
  const widths = new Float64Array(Uint8Array.from(atob(WIDTHS), (sign) => sign.charCodeAt(0)).buffer);
  const heights = widths.map((width) => Math.exp(-0.5 * (width * SCALE) ** 2));
  heights[0] = 1;
  const inside = widths.map((width, layer) => Math.floor(((layer ? widths[layer - 1] : TAIL / SCALE) / width) * SCALE));
  inside[1] = 0;
  return (layers = { widths, heights, inside });
}

/**
 * Eight words of 32 bits from the words of a seed.
 * @param {(number | bigint)[]} words
 */
function mixed(words) {
  const entropy = words.flatMap((word) => {
    const found = [];
    for (let left = BigInt(word); found.length === 0 || left; left >>= 32n) found.push(Number(left & 0xffffffffn));
    return found;
  });
  let constant = INIT_A;
  const hashed = (/** @type {number} */ value) => {
    value ^= constant;
    constant = Math.imul(constant, MULT_A);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  };
  const joined = (/** @type {number} */ a, /** @type {number} */ b) => {
    const found = Math.imul(MIX_LEFT, a) - Math.imul(MIX_RIGHT, b);
    return found ^ (found >>> 16);
  };
  const pool = Array.from({ length: POOL }, (_, i) => hashed(entropy[i] ?? 0));
  for (let from = 0; from < POOL; ++from) {
    for (let to = 0; to < POOL; ++to) if (from !== to) pool[to] = joined(pool[to], hashed(pool[from]));
  }
  for (const word of entropy.slice(POOL)) for (let to = 0; to < POOL; ++to) pool[to] = joined(pool[to], hashed(word));
  constant = INIT_B;
  return Uint32Array.from({ length: 2 * POOL }, (_, i) => {
    let value = pool[i % POOL] ^ constant;
    constant = Math.imul(constant, MULT_B);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  });
}

/**
 * 1 / sqrt(n), rounded once.
 * @param {number} n
 */
export function inverseRoot(n) {
  const square = (1n << 240n) / BigInt(n);
  let root = 1n << 120n;
  for (let next = (root + square / root) >> 1n; next < root; next = (root + square / root) >> 1n) root = next;
  return Number(root) / 2 ** 120;
}
