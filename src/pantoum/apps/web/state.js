// The state of a session as bytes: formats/state_file.py, so a session that begins in Python goes on here, and back.

import { need } from "./errors.js";
import { hex, sha256 } from "./sha256.js";

const MAGIC = "PANTOUMS";
const HEAD = 72;
const DIGEST = 32;
const NO_TOKEN = 0xffffffff;
const MOST_ARRAYS = 1024;
const MOST_PENDING = 15;
const MOST_BYTES = 2 ** 28;

/**
 * Where a session stands; it never changes.
 * @typedef {object} State
 * @property {Float32Array[]} layers
 * @property {number | null} lastToken the token that was seen last and is read next
 * @property {number} tokensSeen
 * @property {Uint8Array} pending
 * @property {string} modelSha256
 */

/**
 * @param {State} state
 * @returns {Uint8Array}
 */
export function stateBytes({ layers, lastToken, tokensSeen, pending, modelSha256 }) {
  const numbers = layers.reduce((sum, layer) => sum + layer.length, 0);
  const bytes = new Uint8Array(HEAD + 4 * layers.length + 4 * numbers + DIGEST);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint16(8, 1, true);
  view.setUint16(10, layers.length, true);
  view.setUint32(12, lastToken ?? NO_TOKEN, true);
  view.setBigUint64(16, BigInt(tokensSeen), true);
  for (let i = 0; i < 32; ++i) bytes[24 + i] = parseInt(modelSha256.slice(2 * i, 2 * i + 2) || "0", 16);
  bytes[56] = pending.length;
  bytes.set(pending, 57);
  let at = HEAD;
  for (const layer of layers) {
    view.setUint32(at, layer.length, true);
    at += 4;
  }
  for (const layer of layers) {
    bytes.set(new Uint8Array(layer.buffer, layer.byteOffset, layer.byteLength), at);
    at += layer.byteLength;
  }
  bytes.set(sha256(bytes.subarray(0, at)), at);
  return bytes;
}

/**
 * The inverse; damaged bytes are refused.
 * @param {Uint8Array} bytes
 * @returns {State}
 */
export function stateOf(bytes) {
  const fits = (/** @type {unknown} */ condition, /** @type {string} */ problem) =>
    need(condition, `the state cannot be used: ${problem}; use another copy of it, or start without a state`);
  fits(bytes instanceof Uint8Array, "it is not a Uint8Array");
  fits(new TextDecoder().decode(bytes.subarray(0, 8)) === MAGIC, "it is not a state of pantoum");
  fits(bytes.length >= HEAD + DIGEST && bytes.length <= MOST_BYTES, `it has ${bytes.length} bytes`);
  const end = bytes.length - DIGEST;
  fits(hex(sha256(bytes.subarray(0, end))) === hex(bytes.subarray(end)), "its checksum does not match: it is truncated or was changed");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  fits(view.getUint16(8, true) === 1, "its version is another one");
  const count = view.getUint16(10, true);
  let at = HEAD + 4 * count;
  fits(count > 0 && count <= MOST_ARRAYS && at <= end, "its number of arrays is impossible");
  const sizes = Array.from({ length: count }, (_, i) => view.getUint32(HEAD + 4 * i, true));
  fits(at + 4 * sizes.reduce((sum, size) => sum + size, 0) === end, "its arrays do not fit its size");
  const seen = view.getBigUint64(16, true);
  fits(seen <= BigInt(Number.MAX_SAFE_INTEGER), "its count of tokens is impossible");
  const pending = bytes[56];
  fits(pending <= MOST_PENDING && bytes.subarray(57 + pending, HEAD).every((byte) => byte === 0), "its undecoded bytes are impossible");
  const layers = sizes.map((size) => {
    const layer = new Float32Array(bytes.slice(at, at + 4 * size).buffer);
    at += 4 * size;
    return layer;
  });
  fits(layers.every((layer) => layer.every(Number.isFinite)), "it holds values that are not finite");
  const last = view.getUint32(12, true);
  const model = hex(bytes.subarray(24, 56));
  return {
    layers,
    lastToken: last === NO_TOKEN ? null : last,
    tokensSeen: Number(seen),
    pending: bytes.slice(57, 57 + pending),
    modelSha256: /^0*$/.test(model) ? "" : model,
  };
}
