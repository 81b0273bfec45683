// The parameters in the forms that a file may have: numbers, halves, codes with a scale per row, compact tables.

import { declared, requireFilled } from "./config.js";
import { need } from "./errors.js";
import { unpacked } from "./model_file.js";

const SCALE = ".scale";
const USE_ANOTHER = "use another copy of it, or train again";
const MOST_TIMES = 10;
const SPARE = 64 << 20;

/** @typedef {{shape: number[], values: Float32Array}} Numbers a parameter as numbers */
/** @typedef {{shape: number[], codes: Int8Array, scales: Float32Array}} Codes its rows as codes, a number being code * scale */
/** @typedef {{shape: number[], codes: Int8Array, scales: Float32Array, places: Int32Array}} RowCodes codes of the rows in use */
/** @typedef {Numbers | Codes | RowCodes} Weight */

/**
 * Every parameter of a network, from the arrays of its file: no more and no fewer.
 * @param {import("./config.js").Shape} shape
 * @param {Map<string, import("./model_file.js").FileArray>} arrays
 * @returns {Promise<Map<string, Weight>>}
 */
export async function weightsOf(shape, arrays) {
  const parameters = declared(shape);
  const left = new Set(arrays.keys());
  let numbers = 0;
  for (const { values } of arrays.values()) numbers += values.length;
  // A compact table may stand for far more numbers than it has: its own sizes are checked where it is read.
  const compact = [...parameters.values()].filter(({ name }) => arrays.has(`${name}.codes`));
  for (const { shape: [rows, columns] } of compact) numbers += rows * columns;
  requireFilled(parameters, numbers);
  /** @type {Map<string, Weight>} */
  const found = new Map();
  for (const { name, shape: sizes, role } of parameters.values()) {
    const take = (/** @type {string} */ part, /** @type {string[]} */ kinds, /** @type {number[] | null} */ expected) => {
      const array = arrays.get(part);
      const told = array ? `${array.kind} [${array.shape}]` : "missing";
      const fits = array && kinds.includes(array.kind) && (!expected || String(array.shape) === String(expected));
      need(fits, `cannot use the model: parameter ${part} is ${told} but its configuration needs ${kinds.join(" or ")}${expected ? ` [${expected}]` : ""}; ${USE_ANOTHER}`);
      left.delete(part);
      return /** @type {import("./model_file.js").FileArray} */ (array);
    };
    const matrix = sizes.length === 2;
    if (role === "table" && arrays.has(`${name}.codes`)) {
      found.set(name, await table(name, sizes, take));
    } else if (matrix && (shape.precision === "int8" || arrays.get(name)?.kind === "I8")) {
      const codes = take(name, ["I8"], sizes).values;
      need(!codes.includes(-128), `cannot use the model: ${name} holds a code that no matrix has; ${USE_ANOTHER}`);
      found.set(name, { shape: sizes, codes, scales: take(name + SCALE, ["F32"], [sizes[0]]).values });
    } else {
      const { kind, values } = take(name, matrix && shape.precision === "float32" ? ["F32", "F16"] : ["F32"], sizes);
      found.set(name, { shape: sizes, values: kind === "F16" ? widened(values) : values });
    }
  }
  need(!left.size, `cannot use the model: its configuration has no parameter ${[...left][0]}; ${USE_ANOTHER}`);
  return found;
}

/**
 * A parameter as numbers.
 * @param {Weight} weight
 * @returns {Float32Array}
 */
export function floats(weight) {
  if ("values" in weight) return weight.values;
  const { codes, scales, shape: [rows, columns] } = weight;
  const found = new Float32Array(rows * columns);
  for (let row = 0; row < rows; ++row) {
    const place = "places" in weight ? weight.places[row] : row;
    const scale = scales[place];
    for (let column = 0; column < columns; ++column) found[row * columns + column] = codes[place * columns + column] * scale;
  }
  return found;
}

/**
 * Rows of a parameter.
 * @template {Numbers | Codes} W
 * @param {W} weight
 * @param {number} begin
 * @param {number} end
 * @returns {W}
 */
export function rowsOf(weight, begin, end) {
  const columns = weight.shape[1];
  const shape = [end - begin, columns];
  if ("values" in weight) return /** @type {W} */ ({ shape, values: weight.values.subarray(begin * columns, end * columns) });
  return /** @type {W} */ ({ shape, codes: weight.codes.subarray(begin * columns, end * columns), scales: weight.scales.subarray(begin, end) });
}

/** @param {Uint16Array} halves */
function widened(halves) {
  const found = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; ++i) {
    const bits = halves[i];
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24;
    found[i] = bits >> 15 ? -size : size;
  }
  return found;
}

/**
 * A compact table of rows of logits.
 * @param {string} name
 * @param {number[]} sizes
 * @param {(part: string, kinds: string[], expected: number[] | null) => import("./model_file.js").FileArray} take
 * @returns {Promise<RowCodes>}
 */
async function table(name, sizes, take) {
  const [R, V] = sizes;
  const used = take(`${name}.used`, ["U8"], null).values;
  const exponents = take(`${name}.exponents`, ["I8"], null).values;
  const stream = take(`${name}.codes`, ["U8"], null).values;
  const U = exponents.length;
  const fits = (/** @type {unknown} */ condition, /** @type {string} */ problem) =>
    need(condition, `cannot use the model: its table ${name} ${problem}; ${USE_ANOTHER}`);
  const most = MOST_TIMES * (used.length + U + stream.length) + SPARE;
  fits(8 * used.length === R && U > 0 && U <= R && most >= 4 * R * V, "has parts of other sizes than it needs");
  const places = new Int32Array(R);
  let count = 0;
  for (let row = 0; row < R; ++row) if ((used[row >> 3] >> (row & 7)) & 1) places[row] = ++count;
  fits(count === U, `has exponents for ${U} rows and marks ${count}`);
  const codes = new Int8Array((U + 1) * V);
  codes.set(new Int8Array((await unpacked(stream, U * V)).buffer), V);
  const scales = new Float32Array(U + 1);
  for (let row = 0; row < U; ++row) scales[row + 1] = 2 ** exponents[row];
  fits(!codes.includes(-128) && scales.every((scale) => Number.isFinite(Math.fround(scale * 127))), "holds codes or exponents that no table has");
  return { shape: sizes, codes, scales, places };
}
