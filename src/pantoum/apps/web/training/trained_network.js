// A network as it trains: its weights, one batch forward and backward through the core, the gradient of each weight
// (network/program.py, stack.py, member.py, head.py and kernels/native call the same operations in the same order).
//
// Shapes: B streams, T steps, N = T * B rows, E embedding, H units, G = 3 H gates, V symbols.

import { declared } from "../config.js";
import { generator, inverseRoot } from "./random_numbers.js";

const LOGITS = 1 << 20;
const FEWEST_ROWS = 512;
const LEVELS = 1 << 16;
const GATES = 3;

/** @typedef {{name: string, shape: number[], role: string, size: number, rows: number, columns: number, value: number, gradient: number}} Weight */
/** @typedef {{weight: number, panels: number, transposed: number, rows: number, depth: number, block: number}} Matrix */
/** @typedef {{input: Matrix, recurrent: Matrix, bias: number, scanBias: number, vectors: number, inputs: number, projection: number, hidden: number, candidate: number, operands: number, dInputs: number, carried: number}} Layer */

export class TrainedNetwork {
  /**
   * @param {import("../core.js").Core} core
   * @param {import("../config.js").Shape} shape
   * @param {{streams: number, chunk: number, dropout: number, seed: bigint, start?: Map<string, Float32Array> | null}} how start: the weights
   *   that it begins with
   */
  constructor(core, shape, { streams: B, chunk: T, dropout, seed, start = null }) {
    this.core = core;
    const { units: H, layers: L, embedding: E, vocabSize: V } = shape;
    this._B = B;
    this._T = T;
    this._H = H;
    this._E = E;
    this._V = V;
    this._seed = seed;
    const N = T * B;
    const room = (/** @type {number} */ numbers) => this._room(numbers);
    /** @type {Map<string, Weight>} */
    this.weights = new Map();
    for (const { name, shape: sizes, role } of declared(shape).values()) {
      const size = sizes.reduce((product, one) => product * one, 1);
      this.weights.set(name, { name, shape: sizes, role, size, rows: sizes[0], columns: size / sizes[0], value: room(size), gradient: room(size) });
    }
    if (!start) this._begin(seed, L);
    start?.forEach((values, name) => this._floats(this._at(name).value, values.length).set(values));
    this._drops = Math.min(Math.round(dropout * LEVELS), LEVELS - 1);
    this._streams = core.put(Uint32Array.from({ length: B }, (_, stream) => stream));
    this._kind = core.cells.indexOf("gru");
    this._tokens = core.alloc(4 * N);
    this._targets = core.alloc(4 * N);
    this._reset = core.alloc(N);
    /** Whether the first layer projects all symbols once, and looks tokens up in that. */
    this._byTable = !this._drops && N > V;
    this._table = this._byTable ? room(V * GATES * H) : 0;
    /** @type {Matrix[]} */
    this._matrices = [];
    /** @type {Layer[]} */
    this._layers = Array.from({ length: L }, (_, l) => {
      const inputs = l ? H : E;
      const matrix = (/** @type {string} */ part, /** @type {number} */ depth) => this._matrix(this._at(`stack.${l}.${part}`).value, GATES * H, depth, H);
      return {
        input: matrix("weight_ih", inputs),
        recurrent: matrix("weight_hh", H),
        bias: room(GATES * H),
        scanBias: room(H),
        inputs,
        vectors: (l ? this._drops : !this._byTable) ? room(N * inputs) : 0,
        projection: room(N * GATES * H),
        hidden: room((T + 1) * B * H),
        candidate: room(N * H),
        operands: core.alloc(Number(core.exports.pantoum_operand_bytes(BigInt(N), BigInt(H), 0))),
        dInputs: room(l || !this._byTable ? N * inputs : 0),
        carried: room(B * H),
      };
    });
    this._dOperands = core.alloc(Number(core.exports.pantoum_operand_bytes(BigInt(N), BigInt(GATES * H), 0)));
    this._dState = room(B * H);
    this._dBiasRows = room(B * H);
    this._dBias = room(H);
    this._head = this._matrix(this._at("head.weight").value, V, H, V);
    this._outputs = this._drops ? room(N * H) : 0;
    this._dOutputs = room(N * H);
    this._rows = Math.min(N, Math.max(FEWEST_ROWS, Math.floor(LOGITS / V)));
    this._logits = room(this._rows * V);
    this._nats = room(N);
    this._predictions = core.alloc(4 * N);
    const weights = [...this.weights.values()];
    this._gradients = core.put(Uint32Array.from(weights, ({ gradient }) => gradient));
    this._sizes = core.put(BigInt64Array.from(weights, ({ size }) => BigInt(size)));
    this._total = core.alloc(8);
  }

  /**
   * The loss of a batch before the update, the norm of all gradients, which lie at each weight.
   * @param {import("./batches.js").Batch} batch
   * @param {number} step
   */
  gradients(batch, step) {
    const { core } = this;
    const loss = this.loss(batch, step);
    const reset = batch.resets ? this._reset : 0;
    let below = this._drops ? this._dropped(this._dOutputs, this._dOutputs, this._H, this._layers.length, step) : this._dOutputs;
    for (let l = this._layers.length - 1; l >= 0; --l) below = this._backward(l, below, reset, step);
    core.call("sum_of_squares", { arrays: this._gradients, sizes: this._sizes, total: this._total, count: this.weights.size });
    const norm = Math.sqrt(Number(core.array("Float64Array", this._total, 1)[0]));
    return { loss, norm };
  }

  /**
   * The loss of a batch, after which each stream stands where its next one begins.
   * @param {import("./batches.js").Batch} batch
   * @param {number} [step]
   */
  loss({ inputs, targets, resets }, step = 0) {
    const { core } = this;
    for (const { weight, panels, transposed, rows, depth, block } of this._matrices) {
      core.call("pack", { weight, panels, rows, depth, block });
      core.call("pack", { weight, panels: transposed, rows, depth, block, transposed: 1 });
    }
    core.array("Int32Array", this._tokens, inputs.length).set(inputs);
    core.array("Int32Array", this._targets, targets.length).set(targets);
    if (resets) core.array("Uint8Array", this._reset, resets.length).set(resets);
    const reset = resets ? this._reset : 0;
    let outputs = 0;
    this._layers.forEach((layer, l) => (outputs = this._forward(layer, l, outputs, reset, step)));
    if (this._drops) outputs = this._dropped(outputs, this._outputs, this._H, this._layers.length, step);
    this._carry();
    return this._losses(outputs);
  }

  /** A copy of a weight. @param {Weight} weight */
  values({ value, size }) {
    return /** @type {Float32Array} */ (this._floats(value, size).slice());
  }

  /**
   * Uniform numbers, and of the embedding normal ones; the bias of the head begins at 0.
   * @param {bigint} seed
   * @param {number} layers
   */
  _begin(seed, layers) {
    const fill = (/** @type {string} */ name, /** @type {() => number} */ draw) => {
      const { value, size } = this._at(name);
      const values = this._floats(value, size);
      for (let i = 0; i < size; ++i) values[i] = draw();
    };
    const spread = inverseRoot(this._H);
    const embedding = generator(seed, 0);
    fill("embedding.weight", () => embedding.normal());
    for (let l = 0; l < layers; ++l) {
      const own = generator(seed, 1, l);
      for (const part of ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]) fill(`stack.${l}.${part}`, () => own.uniform(spread));
    }
    const head = generator(seed, 2);
    fill("head.weight", () => head.uniform(spread));
  }

  /**
   * The outputs of a layer.
   * @param {Layer} layer
   * @param {number} l
   * @param {number} below the outputs of the layer before
   * @param {number} reset
   * @param {number} step
   */
  _forward(layer, l, below, reset, step) {
    const { core, _B: B, _T: T, _H: H, _E: E, _V: V } = this;
    const [G, N] = [GATES * H, T * B];
    // What only adds to the gates is part of the input projection; the last gate's is added within the scan.
    const bias = this._floats(layer.bias, G);
    const recurrentBias = this._floats(this._at(`stack.${l}.bias_hh`).value, G);
    bias.set(this._floats(this._at(`stack.${l}.bias_ih`).value, G));
    for (let i = 0; i < 2 * H; ++i) bias[i] += recurrentBias[i];
    this._floats(layer.scanBias, H).set(recurrentBias.subarray(2 * H));
    if (l === 0 && this._byTable) {
      this._product(layer.input, this._at("embedding.weight").value, V, this._table, layer.bias);
      this._lookUp(this._table, G, layer.projection);
    } else {
      this._product(layer.input, this._vectors(layer, l, below, step), N, layer.projection, layer.bias);
    }
    this._floats(layer.hidden, B * H).set(this._floats(layer.carried, B * H));
    core.call("scan", {
      projection: layer.projection, hidden: layer.hidden, candidate: layer.candidate, operands: layer.operands,
      panels: layer.recurrent.panels, bias: layer.scanBias, reset,
      steps: T, batch: B, units: H, operands_kept: T, kind: this._kind, tape: 1,
    });
    return layer.hidden + 4 * B * H;
  }

  /**
   * What a layer projects: the vectors of the tokens or the outputs below it, dropped.
   * @param {Layer} layer
   * @param {number} l
   * @param {number} below
   * @param {number} step
   */
  _vectors(layer, l, below, step) {
    if (l === 0) this._lookUp(this._at("embedding.weight").value, this._E, layer.vectors);
    if (!this._drops) return l ? below : layer.vectors;
    return this._dropped(l ? below : layer.vectors, layer.vectors, layer.inputs, l, step);
  }

  /**
   * The mean loss; the gradients of the head, and of the outputs.
   * @param {number} outputs
   */
  _losses(outputs) {
    const { core, _H: H, _V: V } = this;
    const N = this._T * this._B;
    const [weight, bias] = [this._at("head.weight"), this._at("head.bias")];
    for (let first = 0; first < N; first += this._rows) {
      const count = Math.min(this._rows, N - first);
      const resume = Number(first > 0);
      const x = outputs + 4 * first * H;
      this._product(this._head, x, count, this._logits, bias.value);
      core.call("softmax", {
        logits: this._logits, targets: this._targets + 4 * first, nats: this._nats + 4 * first, predictions: this._predictions + 4 * first,
        count, vocabulary: V, weight: 1 / N,
      });
      this._transposed(this._head, this._logits, count, this._dOutputs + 4 * first * H);
      core.call("weight_gradient", { d: this._logits, x, out: weight.gradient, count, columns: V, depth: H, resume });
      core.call("bias_gradient", { d: this._logits, out: bias.gradient, count, columns: V, resume });
    }
    return sum(this._floats(this._nats, N), 0, N) / N;
  }

  /**
   * The gradients of a layer; where that of the outputs below it lies.
   * @param {number} l
   * @param {number} dOutputs
   * @param {number} reset
   * @param {number} step
   */
  _backward(l, dOutputs, reset, step) {
    const { core, _B: B, _T: T, _H: H, _E: E, _V: V } = this;
    const layer = this._layers[l];
    const [G, N] = [GATES * H, T * B];
    const part = (/** @type {string} */ name) => this._at(`stack.${l}.${name}`).gradient;
    this._floats(this._dState, B * H).fill(0);
    core.call("scan_vjp", {
      gates: layer.projection, hidden: layer.hidden, candidate: layer.candidate, operands: layer.operands,
      panels: layer.recurrent.transposed, d_outputs: dOutputs, d_state: this._dState, d_projection: layer.projection,
      d_operands: this._dOperands, d_weight: part("weight_hh"), d_bias: this._dBias, d_bias_rows: this._dBiasRows,
      reset, steps: T, batch: B, units: H, kind: this._kind,
    });
    const embedding = this._at("embedding.weight");
    const byTable = l === 0 && this._byTable;
    let [d, x, count, dInputs] = [layer.projection, this._input(l), N, layer.dInputs];
    if (byTable) {
      core.call("lookup_gradient", { d, tokens: this._tokens, out: this._table, count, columns: G, vocabulary: V });
      [d, x, count, dInputs] = [this._table, embedding.value, V, embedding.gradient];
    }
    core.call("weight_gradient", { d, x, out: part("weight_ih"), count, columns: G, depth: layer.inputs });
    this._transposed(layer.input, d, count, dInputs);
    core.call("bias_gradient", { d, out: part("bias_ih"), count, columns: G });
    const dBias = this._floats(part("bias_hh"), G);
    dBias.set(this._floats(part("bias_ih"), 2 * H));
    dBias.set(this._floats(this._dBias, H), 2 * H);
    if (byTable) return 0;
    if (this._drops) this._dropped(dInputs, dInputs, layer.inputs, l, step);
    if (l === 0) core.call("lookup_gradient", { d: dInputs, tokens: this._tokens, out: embedding.gradient, count, columns: E, vocabulary: V });
    return dInputs;
  }

  /** Where the vectors lie that a layer has projected. @param {number} l */
  _input(l) {
    return this._layers[l].vectors || (l ? this._layers[l - 1].hidden + 4 * this._B * this._H : 0);
  }

  /** The state of each stream goes on to its next batch, unless it is spoiled. */
  _carry() {
    const size = this._B * this._H;
    const last = this._layers.map(({ hidden }) => this._floats(hidden + 4 * this._T * size, size));
    if (!last.every((state) => state.every(Number.isFinite))) return;
    this._layers.forEach(({ carried }, l) => this._floats(carried, size).set(last[l]));
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} units
   * @param {number} layer
   * @param {number} step
   */
  _dropped(x, y, units, layer, step) {
    this.core.call("dropout", {
      x, y, streams: this._streams, steps: this._T, batch: this._B, units, seed: this._seed, step, layer,
      threshold: this._drops, scale: LEVELS / (LEVELS - this._drops), variational: 1,
    });
    return y;
  }

  /**
   * The row of each token.
   * @param {number} rows
   * @param {number} columns
   * @param {number} out
   */
  _lookUp(rows, columns, out) {
    const table = this.core.structs("row_table", { rows });
    this.core.call("lookup_sum", { table, rows: this._tokens, out, count: this._T * this._B, each: 1, columns });
    this.core.free(table);
  }

  /**
   * y = x W^T + bias
   * @param {Matrix} matrix
   * @param {number} x
   * @param {number} count
   * @param {number} y
   * @param {number} bias
   */
  _product({ panels, rows, depth, block }, x, count, y, bias) {
    this.core.call("product", { x, panels, bias, y, count, depth, columns: rows, block });
  }

  /**
   * y = d W
   * @param {Matrix} matrix
   * @param {number} d
   * @param {number} count
   * @param {number} y
   */
  _transposed({ transposed, rows, depth }, d, count, y) {
    this.core.call("product", { x: d, panels: transposed, y, count, depth: rows, columns: depth, block: depth });
  }

  /**
   * Room for a matrix in both packed forms; each batch packs it anew.
   * @param {number} weight
   * @param {number} rows
   * @param {number} depth
   * @param {number} block
   * @returns {Matrix}
   */
  _matrix(weight, rows, depth, block) {
    const [panels, transposed] = [0, 1].map((way) =>
      this.core.alloc(Number(this.core.exports.pantoum_packed_bytes(BigInt(rows), BigInt(depth), BigInt(block), 0, way))),
    );
    const matrix = { weight, panels, transposed, rows, depth, block };
    this._matrices.push(matrix);
    return matrix;
  }

  /** @param {string} name */
  _at(name) {
    return /** @type {Weight} */ (this.weights.get(name));
  }

  /**
   * @param {number} address
   * @param {number} size
   */
  _floats(address, size) {
    return /** @type {Float32Array} */ (this.core.array("Float32Array", address, size));
  }

  /** Memory for so many numbers, all 0. @param {number} numbers */
  _room(numbers) {
    const address = this.core.alloc(4 * numbers);
    this._floats(address, numbers).fill(0);
    return address;
  }
}

/**
 * A sum in double, in the order in which NumPy adds: halves of halves down to 128, of which every eighth together.
 * @param {Float32Array} values
 * @param {number} first
 * @param {number} count
 * @returns {number}
 */
export function sum(values, first, count) {
  if (count > 128) {
    const half = (count >> 1) - ((count >> 1) % 8);
    return sum(values, first, half) + sum(values, first + half, count - half);
  }
  const whole = count - (count % 8);
  let total = 0;
  if (whole) {
    const r = Array.from(values.subarray(first, first + 8));
    for (let i = 8; i < whole; ++i) r[i % 8] += values[first + i];
    total = r[0] + r[1] + (r[2] + r[3]) + (r[4] + r[5] + (r[6] + r[7]));
  }
  for (let i = whole; i < count; ++i) total += values[first + i];
  return total;
}
