// The core, compiled to WebAssembly: its memory, its structs and its operations.
//
// The module says itself how its structs lie in memory (a section that module.py writes from the core's
// header), so nothing of the header is repeated here.

import { PantoumError, need } from "./errors.js";
import { fuses } from "./fused.js";

const SIZES = { p: 4, i: 4, u: 4, f: 4, l: 8, q: 8 };
const ALIGNED = 64;
const NO_SIMD =
  "this browser cannot run the model: it lacks WebAssembly with 128-bit SIMD, which Chrome and Edge 91, Firefox 89 and Safari 16.4 have";
const NO_CORE = "this is not a core of pantoum that can run here: give the file pantoum.wasm";
const NO_MEMORY = "there is not enough memory for this model: close other tabs, or use a smaller model";

// The smallest module with an instruction of SIMD.
const PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** @typedef {Record<string, number | bigint | null | undefined>} Fields */

export class Core {
  /**
   * @param {WebAssembly.Instance} instance
   * @param {Record<string, Record<string, keyof SIZES>>} structs
   */
  constructor(instance, structs) {
    this.exports = /** @type {Record<string, Function>} */ (instance.exports);
    this.memory = /** @type {WebAssembly.Memory} */ (instance.exports.memory);
    this.layouts = Object.fromEntries(Object.entries(structs).map(([name, fields]) => [name, layout(fields)]));
    /** @type {string[]} */
    this.cells = [];
    const count = this.alloc(8);
    const first = this.exports.pantoum_cells(count);
    const cells = Number(this.view().getBigInt64(count, true));
    for (let kind = 0; kind < cells; ++kind) this.cells.push(this.text(this.view().getUint32(first + 20 * kind, true)));
    this.free(count);
  }

  /**
   * The core of a module's bytes; those of pantoum-fused.wasm only where `fuses` says so.
   * @param {BufferSource} bytes
   * @returns {Promise<Core>}
   */
  static async load(bytes) {
    need(typeof WebAssembly === "object" && WebAssembly.validate(PROBE), NO_SIMD);
    const module = await WebAssembly.compile(bytes).catch((error) => {
      throw error instanceof WebAssembly.CompileError ? new PantoumError(NO_CORE) : error;
    });
    const [section] = WebAssembly.Module.customSections(module, "pantoum");
    need(section, NO_CORE);
    const { structs, fused } = JSON.parse(new TextDecoder().decode(section));
    need(!fused || fuses(), NO_CORE);
    const instance = await WebAssembly.instantiate(module, {});
    /** @type {Function | undefined} */ (instance.exports._initialize)?.();
    return new Core(instance, structs);
  }

  view() {
    return new DataView(this.memory.buffer);
  }

  /**
   * The address of memory of the core's own; it must be freed.
   * @param {number} bytes
   * @returns {number}
   */
  alloc(bytes) {
    const size = Math.max(ALIGNED, Math.ceil(bytes / ALIGNED) * ALIGNED);
    const address = size < 2 ** 31 ? this.exports.aligned_alloc(ALIGNED, size) >>> 0 : 0;
    need(address, NO_MEMORY);
    return address;
  }

  /** @param {number} address */
  free(address) {
    this.exports.free(address);
  }

  /**
   * An array in the core's memory. It must not be kept: the memory moves when it grows.
   * @template {"Float32Array" | "Float64Array" | "Int8Array" | "Uint8Array" | "Int32Array" | "Uint32Array" | "BigInt64Array" | "BigUint64Array"} T
   * @param {T} type
   * @param {number} address
   * @param {number} size
   * @returns {InstanceType<(typeof globalThis)[T]>}
   */
  array(type, address, size) {
    return /** @type {any} */ (new globalThis[type](this.memory.buffer, address, size));
  }

  /**
   * A copy of an array, in the core's memory.
   * @param {Float32Array | Float64Array | Int8Array | Uint8Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array} values
   * @returns {number}
   */
  put(values) {
    const address = this.alloc(values.byteLength);
    new Uint8Array(this.memory.buffer).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), address);
    return address;
  }

  /**
   * One or several structs in a row, in memory of their own.
   * @param {string} name
   * @param {Fields[]} each
   * @returns {number}
   */
  structs(name, ...each) {
    const { size } = this.layouts[name];
    const address = this.alloc(size * each.length);
    new Uint8Array(this.memory.buffer, address, size * each.length).fill(0);
    each.forEach((fields, place) => this.set(name, address + place * size, fields));
    return address;
  }

  /**
   * Writes fields of a struct.
   * @param {string} name
   * @param {number} address
   * @param {Fields} fields
   */
  set(name, address, fields) {
    const { places } = this.layouts[name];
    const view = this.view();
    for (const [field, value] of Object.entries(fields)) {
      const place = places[field];
      if (!place) throw new TypeError(`${name} has no field ${field}`);
      const [at, kind] = [address + place.at, place.kind];
      if (kind === "f") view.setFloat32(at, Number(value ?? 0), true);
      else if (SIZES[kind] === 8) view.setBigInt64(at, BigInt(value ?? 0), true);
      else view.setUint32(at, Number(value ?? 0), true);
    }
  }

  /**
   * Runs an operation whose struct lies at the address.
   * @param {string} name
   * @param {number} address
   */
  run(name, address) {
    const status = this.exports[`pantoum_${name}`](address);
    if (status === 4) {
      throw new PantoumError("the model's scores are not finite: its weights are damaged; train it again or use another model");
    }
    if (status === 1) throw new PantoumError(NO_MEMORY);
    need(status === 0, `the core's ${name} refused: ${this.text(this.exports.pantoum_message(status))}`);
  }

  /**
   * Runs an operation once.
   * @param {string} name
   * @param {Fields} fields
   */
  call(name, fields) {
    const address = this.structs(name, fields);
    try {
      this.run(name, address);
    } finally {
      this.free(address);
    }
  }

  /** @param {number} address */
  text(address) {
    const bytes = new Uint8Array(this.memory.buffer, address);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }
}

/**
 * Where the fields of a struct lie: each at a multiple of its size.
 * @param {Record<string, keyof SIZES>} fields
 */
function layout(fields) {
  /** @type {Record<string, {at: number, kind: keyof SIZES}>} */
  const places = {};
  let [end, widest] = [0, 4];
  for (const [name, kind] of Object.entries(fields)) {
    const size = SIZES[kind];
    const at = Math.ceil(end / size) * size;
    places[name] = { at, kind };
    end = at + size;
    widest = Math.max(widest, size);
  }
  return { places, size: Math.ceil(end / widest) * widest };
}
