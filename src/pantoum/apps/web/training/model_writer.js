// A model file from what it holds, byte for byte as formats/model_file.py writes it.

import { hex, sha256 } from "../sha256.js";

const DIGITS = 64;
const BEGINNING = '{"__metadata__":{"pantoum":';
/** @type {Record<string, number>} */
const WIDTHS = { F32: 4, F16: 2, U8: 1 };

/** A number that is written as Python writes a float. */
export class Real {
  /** @param {number} value */
  constructor(value) {
    this.value = value;
  }

  toString() {
    const size = Math.abs(this.value);
    if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
      const [digits, exponent] = this.value.toExponential().split("e");
      return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
    }
    return Number.isInteger(this.value) ? `${this.value}.0` : String(this.value);
  }
}

/** @typedef {{kind: "F32" | "F16" | "U8", shape: number[], values: Float32Array | Uint16Array | Uint8Array}} Held */

/**
 * @param {{config: any, card: any, tokenizer: any, arrays: Map<string, Held>}} model
 * @returns {Uint8Array}
 */
export function modelFile({ config, card, tokenizer, arrays }) {
  const spec = ascii(canonical(tokenizer));
  const held = new Map([...arrays, ["tokenizer", /** @type {Held} */ ({ kind: "U8", shape: [spec.length], values: spec })]]);
  const order = [...held].sort(([a, { kind: x }], [b, { kind: y }]) => WIDTHS[y] - WIDTHS[x] || (a < b ? -1 : 1));
  const body = canonical({ format: "pantoum model", version: 1, config, card });
  const metadata = `{"sha256":"${"0".repeat(DIGITS)}",${body.slice(1)}`;
  const parts = [`${BEGINNING}${quoted(metadata)}}`];
  let place = 0;
  for (const [name, { kind, shape, values }] of order) {
    parts.push(`"${name}":{"dtype":"${kind}","shape":[${shape}],"data_offsets":[${place},${(place += values.byteLength)}]}`);
  }
  let header = `${parts.join(",")}}`;
  header += " ".repeat((8 - (header.length % 8)) % 8);
  const file = new Uint8Array(8 + header.length + place);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(ascii(header), 8);
  let at = 8 + header.length;
  for (const [, { values }] of order) {
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  file.set(ascii(hex(sha256(file))), 8 + header.indexOf("0".repeat(DIGITS)));
  return file;
}

/**
 * JSON with sorted keys, without spaces, in ASCII.
 * @param {any} value
 * @returns {string}
 */
function canonical(value) {
  if (value instanceof Real) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical)}]`;
  if (typeof value === "object" && value !== null) return `{${Object.keys(value).sort().map((key) => `${quoted(key)}:${canonical(value[key])}`)}}`;
  return typeof value === "string" ? quoted(value) : String(value);
}

/** @param {string} text */
function quoted(text) {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** @param {string} text */
function ascii(text) {
  return new TextEncoder().encode(text);
}
