// A model as the core runs it: its matrices packed, and one call per token that is read (network/program.py,
// kernels/native/step.py). A state is an array of float32 for each part, as a State of pantoum has them.

import { countedProbability } from "./counts.js";
import { prefix } from "./config.js";
import { PantoumError } from "./errors.js";
import { floats, rowsOf } from "./weights.js";

const PRECISIONS = { float32: 0, int8: 2 };
const MOST_KEPT = 1024;

/** @typedef {import("./core.js").Core} Core */
/** @typedef {import("./weights.js").Weight} Weight */
/** @typedef {{panels: number, rows: number, depth: number, block: number, precision: number}} Packed */

export class Program {
  /**
   * @param {Core} core
   * @param {import("./config.js").Shape} shape
   * @param {Map<string, Weight>} weights
   * @param {import("./counts.js").Counts | null} counts
   */
  constructor(core, shape, weights, counts) {
    this.core = core;
    this.shape = shape;
    this.counts = counts;
    /** What draws from the logits (sampling.js): its struct and its columns. */
    this.sample = 0;
    this.room = 0;
    const kind = core.cells.indexOf(shape.cell.name.replaceAll("-", "_"));
    if (kind < 0) throw new PantoumError(`the core lacks the cell ${shape.cell.name}`);
    const { units: H, layers, members: K, vocabSize: V, cell } = shape;
    const kept = Math.max(0, ...shape.ngrams) - 1;
    /** The sizes of the arrays of a state. */
    this.sizes = Array.from({ length: K * layers * cell.states }, () => H);
    if (shape.ngrams.length) this.sizes.push(kept);
    if (counts) this.sizes.push(counts.lengths.length);
    this._places = this.sizes.map((size) => core.alloc(4 * size));
    this._tokens = core.alloc(4);
    this._logits = core.alloc(4 * V);
    /** What `score` needs. @type {number | undefined} */
    this._spent = undefined;
    const structs = Array.from({ length: K }, (_, member) => this._member(weights, member));
    const head = this._head(weights);
    const beside = this._places.slice(K * layers * cell.states);
    this._countsPlace = counts ? this._counted(counts) : 0;
    const fields = {
      members: core.structs("member", ...structs),
      tokens: this._tokens,
      ...head,
      ...(shape.ngrams.length ? this._ngrams(/** @type {Weight} */ (weights.get("ngrams.weight")), beside[0], kept) : {}),
      ...(counts ? { counts: this._countsPlace, counts_recent: beside.at(-1) } : {}),
      logits: this._logits,
      first: 0,
      count: 1,
      vocabulary: V,
      units: H,
      member_count: K,
      layer_count: layers,
      kind,
    };
    this._step = core.structs("step", fields);
  }

  /** The state of a stream that has read nothing. */
  zeros() {
    return this.sizes.map((size) => new Float32Array(size));
  }

  /**
   * Reads a token: the state goes on in place, and the logits of the next token are at `logits`.
   * @param {Float32Array[]} state
   * @param {number} token
   */
  step(state, token) {
    const { core } = this;
    const memory = new Float32Array(core.memory.buffer);
    this._places.forEach((place, i) => memory.set(state[i], place / 4));
    core.array("Int32Array", this._tokens, 1)[0] = token;
    core.run("step", this._step);
    const after = new Float32Array(core.memory.buffer);
    this._places.forEach((place, i) => state[i].set(after.subarray(place / 4, place / 4 + this.sizes[i])));
  }

  /** The logits of the last step; to be read, or copied, before the next one. */
  get logits() {
    return /** @type {Float32Array} */ (this.core.array("Float32Array", this._logits, this.shape.vocabSize));
  }

  /** Where they lie. */
  get logitsPlace() {
    return this._logits;
  }

  /**
   * Reads a token and gives the nats of the one that follows it.
   * @param {Float32Array[]} state
   * @param {number} token
   * @param {number} target
   * @returns {number}
   */
  score(state, token, target) {
    const { core, counts } = this;
    if (counts) core.set("step", this._step, { counts: 0 });
    this.step(state, token);
    if (counts) core.set("step", this._step, { counts: this._countsPlace });
    const V = this.shape.vocabSize;
    this._spent ??= core.alloc(4 * V + 64);
    const found = this._spent + 4 * V;
    core.array("Float32Array", this._spent, V).set(this.logits);
    core.array("Int32Array", found, 1)[0] = target;
    const where = { logits: this._spent, targets: found, nats: found + 16, predictions: found + 32 };
    core.call("softmax", { ...where, count: 1, vocabulary: V, weight: 0 });
    const nats = Number(core.array("Float32Array", found + 16, 1)[0]);
    if (!counts) return nats;
    const recent = /** @type {Float32Array} */ (state.at(-1));
    recent.copyWithin(0, 1);
    recent[recent.length - 1] = token + 1;
    const { p, bucket } = countedProbability(counts, recent, target);
    const weight = counts.weights[bucket];
    return Math.fround(-logAddExp(Math.log(weight) - nats, Math.log1p(-weight) + Math.log(p)));
  }

  /**
   * @param {Map<string, Weight>} weights
   * @param {number} member
   */
  _member(weights, member) {
    const { core, shape } = this;
    const { cell, units: H, layers, embedding: E, vocabSize: V } = shape;
    const own = prefix(shape, member);
    const added = (cell.gates - Number(cell.biased)) * H;
    const structs = [];
    let [table, embedding] = [0, 0];
    for (let layer = 0; layer < layers; ++layer) {
      const at = (/** @type {string} */ name) => /** @type {Weight} */ (weights.get(`${own}stack.${layer}.${name}`));
      const bias = Float32Array.from(floats(at("bias_ih")));
      let scanBias = 0;
      if (cell.hiddenBias) {
        const other = floats(at("bias_hh"));
        for (let i = 0; i < added; ++i) bias[i] += other[i];
        if (cell.biased) scanBias = core.put(other.slice(added));
      }
      const place = core.put(bias);
      const inputs = layer ? H : E;
      /** @type {Packed | null} */
      let input = null;
      if (layer || E) input = this._pack(at("weight_ih"), cell.gates);
      if (layer === 0) {
        if (!E) table = core.put(oneHot(floats(at("weight_ih")), bias, V));
        else {
          embedding = core.put(floats(/** @type {Weight} */ (weights.get(`${own}embedding.weight`))));
          if (V <= MOST_KEPT && input) {
            table = core.alloc(4 * V * bias.length);
            core.call("product", {
              x: embedding, panels: input.panels, bias: place, y: table,
              count: V, depth: E, columns: bias.length, block: input.block, precision: input.precision,
            });
            core.free(input.panels);
            input = null;
          }
        }
      }
      const recurrent = [];
      let row = 0;
      for (const served of cell.products) {
        const weight = /** @type {import("./weights.js").Numbers} */ (at("weight_hh"));
        recurrent.push(this._pack(rowsOf(weight, row * H, (row + served) * H), served));
        row += served;
      }
      const states = this._places.slice((member * layers + layer) * cell.states);
      structs.push({
        input: input?.panels,
        recurrent: recurrent[0]?.panels,
        more_recurrent: recurrent[1]?.panels,
        input_bias: place,
        bias: scanBias,
        hidden: states[0],
        cell: cell.states > 1 ? states[1] : 0,
        inputs,
        input_precision: input?.precision,
        recurrent_precision: recurrent[0]?.precision,
      });
    }
    return { layers: core.structs("layer", ...structs), table, embedding };
  }

  /** @param {Map<string, Weight>} weights */
  _head(weights) {
    const { core, shape } = this;
    const { members: K, embedding: E, vocabSize: V } = shape;
    let weight = weights.get("head.weight");
    if (shape.tied) {
      const own = (/** @type {number} */ member) =>
        floats(/** @type {Weight} */ (weights.get(`${prefix(shape, member)}embedding.weight`)));
      let values = own(0);
      if (K > 1) {
        values = new Float32Array(V * K * E);
        for (let member = 0; member < K; ++member) {
          const part = own(member);
          for (let v = 0; v < V; ++v) for (let e = 0; e < E; ++e) values[v * K * E + member * E + e] = part[v * E + e] / K;
        }
      }
      weight = { shape: [V, K * E], values };
    }
    const head = this._pack(/** @type {Weight} */ (weight), 1);
    const between = weights.get("head.projection.weight");
    const projection = between ? this._pack(between, 1) : null;
    return {
      head: head.panels,
      head_bias: core.put(floats(/** @type {Weight} */ (weights.get("head.bias")))),
      projection: projection?.panels,
      head_inputs: head.depth,
      head_precision: head.precision,
      projection_precision: projection?.precision,
    };
  }

  /**
   * @param {Weight} weight
   * @param {number} recent
   * @param {number} kept
   */
  _ngrams(weight, recent, kept) {
    const { core, shape } = this;
    const fields =
      "values" in weight
        ? { rows: core.put(weight.values) }
        : {
            codes: core.put(weight.codes),
            scales: core.put(weight.scales),
            places: core.put("places" in weight ? weight.places : Int32Array.from({ length: weight.shape[0] }, (_, row) => row)),
          };
    return {
      ngrams: core.structs("row_table", fields),
      orders: core.put(BigInt64Array.from(shape.ngrams, BigInt)),
      order_count: shape.ngrams.length,
      ngram_rows: shape.ngramRows,
      recent,
      recent_kept: kept,
    };
  }

  /** @param {import("./counts.js").Counts} counts */
  _counted({ unigrams, lengths, weights, shortest }) {
    const { core } = this;
    const put = (/** @type {any} */ contexts) =>
      Object.fromEntries(Object.entries(contexts).map(([name, values]) => [name, core.put(/** @type {any} */ (values))]));
    return core.structs("counts", {
      lengths: core.structs("contexts", ...lengths.map(put)),
      unigrams: core.put(unigrams),
      weights: core.put(weights),
      kept: lengths.length,
      shortest,
    });
  }

  /**
   * A matrix ready for products, in the precision of the model.
   * @param {Weight} weight
   * @param {number} gates
   * @returns {Packed}
   */
  _pack(weight, gates) {
    const { core } = this;
    const [rows, depth] = weight.shape;
    const precision = PRECISIONS[this.shape.precision];
    const block = rows / gates;
    const panels = core.alloc(Number(core.exports.pantoum_packed_bytes(BigInt(rows), BigInt(depth), BigInt(block), precision, 0)));
    const sizes = { rows, depth, block };
    if (precision === PRECISIONS.int8) {
      let [codes, scales] = [0, 0];
      if ("values" in weight) {
        const values = core.put(weight.values);
        [codes, scales] = [core.alloc(rows * depth), core.alloc(4 * rows)];
        core.call("quantize", { weight: values, codes, scales, rows, depth });
        core.free(values);
      } else {
        [codes, scales] = [core.put(weight.codes), core.put(weight.scales)];
      }
      core.call("pack_codes", { codes, scales, panels, ...sizes });
      core.free(codes);
      core.free(scales);
    } else {
      const values = core.put(floats(weight));
      core.call("pack", { weight: values, panels, ...sizes, precision, transposed: 0 });
      core.free(values);
    }
    return { panels, rows, depth, block, precision };
  }
}

/**
 * The input projection of every symbol for one-hot inputs: a column of the weight and the bias.
 * @param {Float32Array} weight
 * @param {Float32Array} bias
 * @param {number} V
 */
function oneHot(weight, bias, V) {
  const G = bias.length;
  const table = new Float32Array(V * G);
  for (let g = 0; g < G; ++g) for (let v = 0; v < V; ++v) table[v * G + g] = weight[g * V + v] + bias[g];
  return table;
}

/**
 * log(e^a + e^b)
 * @param {number} a
 * @param {number} b
 */
function logAddExp(a, b) {
  return a === b ? a + Math.LN2 : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}
