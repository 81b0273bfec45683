// A model file: its bytes verified, its header parsed, its arrays as views (docs/formats.md has every byte).

import { PantoumError, need } from "./errors.js";
import { inflated } from "./inflate.js";
import { hex, sha256 } from "./sha256.js";

const HEADER_LIMIT = 1_000_000;
const MOST_PARTS = 1 << 16;
const TOKENIZER_LIMIT = 64 << 20;
const BEGINNING = '{"__metadata__":{"pantoum":"{\\"sha256\\":\\"';
const DIGITS = 64;
const EXTRAS = "extras.";
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/;
/** @type {Record<string, [string, number]>} */
const TYPES = { F32: ["Float32Array", 4], F16: ["Uint16Array", 2], U32: ["Uint32Array", 4], I8: ["Int8Array", 1], U8: ["Uint8Array", 1] };
const USE_ANOTHER = "use another copy of it, or train again";

/** @typedef {{kind: string, shape: number[], values: any}} FileArray */
/** @typedef {{config: any, card: any, tokenizer: any, parameters: Map<string, FileArray>, extras: Map<string, FileArray>, sha256: string}} ModelFile */

/**
 * The content of a model file's bytes. Hash first, parse after: what is damaged by accident never meets the parser.
 * @param {Uint8Array} bytes
 * @returns {ModelFile}
 */
export function readModelFile(bytes) {
  const fits = (/** @type {unknown} */ condition, /** @type {string} */ problem) =>
    need(condition, `cannot use the model: ${problem}; ${USE_ANOTHER}`);
  fits(bytes.length >= 8, "it is too short");
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  fits(length <= HEADER_LIMIT, `it claims a header of ${length} bytes, more than the ${HEADER_LIMIT} allowed`);
  const begin = 8 + length;
  fits(begin <= bytes.length, "it is cut short: its header is not complete");
  const text = new TextDecoder().decode(bytes.subarray(8, begin));
  fits(text.startsWith(BEGINNING), "it is not a model file of pantoum");
  const at = 8 + BEGINNING.length;
  const digest = new TextDecoder().decode(bytes.subarray(at, at + DIGITS));
  const zeros = new Uint8Array(DIGITS).fill(48);
  fits(
    hex(sha256(bytes.subarray(0, at), zeros, bytes.subarray(at + DIGITS))) === digest,
    "its SHA-256 does not match: it is truncated, damaged or was changed",
  );
  fits([...text].filter((sign) => ",[{".includes(sign)).length <= MOST_PARTS, `its header has more than ${MOST_PARTS} parts`);
  const header = parsed(text, fits);
  const body = parsed(header.__metadata__?.pantoum, fits);
  fits(body.format === "pantoum model", "it is not a model file of pantoum");
  fits(body.version === 1, `this page reads version 1, not ${body.version}`);
  fits(isObject(body.config) && isObject(body.card), "its configuration or its card is missing");
  delete header.__metadata__;
  const [parameters, extras] = [new Map(), new Map()];
  let place = 0;
  const entries = Object.entries(header).sort(([, a], [, b]) => a?.data_offsets?.[0] - b?.data_offsets?.[0]);
  for (const [name, entry] of entries) {
    fits(NAME.test(name), `array name ${name.slice(0, 80)} is not plain`);
    const { dtype, shape, data_offsets: offsets } = entry ?? {};
    fits(dtype !== "BF16", `array ${name} is bfloat16, which pages do not read: export the model as int8 first`);
    const type = Object.hasOwn(TYPES, dtype) ? TYPES[dtype] : null;
    fits(type, `array ${name} is ${dtype}, which no model has`);
    const whole = (/** @type {unknown} */ list) => Array.isArray(list) && list.every((size) => Number.isSafeInteger(size) && size >= 0);
    fits(whole(shape) && shape.length <= 8 && whole(offsets) && offsets.length === 2, `array ${name} has an impossible shape`);
    const [kind, width] = /** @type {[string, number]} */ (type);
    const size = shape.reduce((/** @type {number} */ product, /** @type {number} */ one) => product * one, 1);
    fits(offsets[0] === place, `array ${name} does not begin where the one before it ends`);
    fits(size * width === offsets[1] - offsets[0] && place % width === 0, `array ${name} has a size that does not fit its shape`);
    fits(begin + offsets[1] <= bytes.length, "it is cut short");
    const own = bytes.slice(begin + place, begin + offsets[1]);
    const values = new /** @type {any} */ (globalThis)[kind](own.buffer, 0, size);
    place = offsets[1];
    fits(finite(dtype, values), `array ${name} holds values that are not finite`);
    const array = { kind: dtype, shape, values };
    if (name.startsWith(EXTRAS)) extras.set(name.slice(EXTRAS.length), array);
    else parameters.set(name, array);
  }
  fits(begin + place === bytes.length, "it has bytes after its end");
  const spec = parameters.get("tokenizer");
  fits(spec?.kind === "U8" && spec.shape.length === 1 && spec.values.length <= TOKENIZER_LIMIT, "its tokenizer is missing");
  parameters.delete("tokenizer");
  const tokenizer = parsed(new TextDecoder().decode(spec?.values), fits);
  return { config: body.config, card: body.card, tokenizer, parameters, extras, sha256: digest };
}

/**
 * @param {unknown} text
 * @param {(condition: unknown, problem: string) => void} fits
 */
function parsed(text, fits) {
  let found = null;
  try {
    found = JSON.parse(String(text));
  } catch {
    // Told below.
  }
  fits(isObject(found), "its header is damaged");
  return found;
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {string} dtype
 * @param {any} values
 */
function finite(dtype, values) {
  if (dtype === "F32") return values.every(Number.isFinite);
  return dtype !== "F16" || values.every((/** @type {number} */ bits) => (bits & 0x7c00) !== 0x7c00);
}

/**
 * A compact stream of zlib, unpacked to exactly so many bytes.
 * @param {Uint8Array} stream
 * @param {number} size
 * @returns {Promise<Uint8Array>}
 */
export async function unpacked(stream, size) {
  const out = new Uint8Array(size);
  let at = 0;
  const reader = inflated(stream, "deflate").getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (at + part.value.length > size) throw new RangeError("too long");
      out.set(part.value, at);
      at += part.value.length;
    }
    if (at !== size) throw new RangeError("too short");
  } catch {
    reader.cancel().catch(() => {});
    throw new PantoumError(`cannot use the model: its table of n-grams cannot be unpacked; ${USE_ANOTHER}`);
  }
  return out;
}
