// One update of the weights: Muon for the maps and AdamW for the rest, or AdamW for all, and the usual size of each row
// of the gradients, which adapting needs; then the pull back to a base (training/update: optimizer.py, learner.py, pulled.py).

import { CLIP } from "./recipe.js";

const [BETA1, BETA2, EPSILON] = [0.9, 0.99, 1e-8];
const [MOMENTUM, MUON_RATE] = [0.95, 5];
const ROUNDS = Float32Array.from([3.4445, -4.775, 2.0315, 3.4445, -4.775, 2.0315, 3.4445, -4.775, 2.0315]);
const GATES = 3;
const [EVERY, WINDOW] = [4, 64];

/** @typedef {import("./trained_network.js").Weight} Weight */

export class Optimizer {
  /**
   * @param {import("./trained_network.js").TrainedNetwork} network
   * @param {import("./recipe.js").Recipe} recipe
   */
  constructor(network, { optimizer, weightDecay, pull }) {
    const core = (this.core = network.core);
    this._decay = weightDecay;
    this._pull = pull;
    this._updates = 0;
    const room = (/** @type {number} */ numbers) => {
      const address = core.alloc(4 * numbers);
      core.array("Float32Array", address, numbers).fill(0);
      return address;
    };
    const weights = [...network.weights.values()];
    const maps = weights.filter(({ role }) => optimizer === "muon" && role === "map");
    this._others = weights.filter((weight) => !maps.includes(weight)).map((weight) => ({ ...weight, first: room(weight.size), second: room(weight.size) }));
    /** @type {(Weight & {squares: number})[]} */
    this._scaled = weights.map((weight) => ({ ...weight, squares: room(weight.rows) }));
    const pulled = pull ? weights.filter(({ role }) => role !== "vector") : [];
    this._pulled = pulled.map((weight) => ({ ...weight, origin: core.put(network.values(weight)) }));
    // Each gate's block of a map is one of Muon's.
    const blocks = maps.flatMap(({ value, gradient, size, rows, columns }) => {
      const momenta = room(size);
      const height = rows / GATES;
      return Array.from({ length: GATES }, (_, gate) => ({ from: [value, gradient, momenta].map((at) => at + 4 * gate * height * columns), height, columns }));
    });
    this._blocks = blocks.map(({ height, columns }) => Math.sqrt(Math.max(1, height / columns)));
    const [parameters, gradients, momenta] = [0, 1, 2].map((which) => core.put(Uint32Array.from(blocks, ({ from }) => from[which])));
    this._rates = room(blocks.length);
    this._muon = {
      parameters, gradients, momenta, rates: this._rates,
      sizes: core.put(BigInt64Array.from(blocks.flatMap(({ height, columns }) => [BigInt(height), BigInt(columns)]))),
      coefficients: core.put(ROUNDS),
      count: blocks.length,
      steps: ROUNDS.length / 3,
      beta: MOMENTUM,
    };
  }

  /**
   * An update at a rate, by the gradients of a batch of so many targets; they count less where their norm is too large.
   * @param {number} rate
   * @param {number} norm
   * @param {number} targets
   */
  update(rate, norm, targets) {
    const { core } = this;
    const factor = norm <= CLIP ? 1 : CLIP / norm;
    this._scale(targets, factor);
    const count = ++this._updates;
    for (const { value, gradient, first, second, shape, rows, columns } of this._others) {
      core.call("adamw", {
        parameter: value, gradient, first, second, used: rows, columns,
        beta1: BETA1, share1: (1 - BETA1) * factor, beta2: BETA2, share2: (1 - BETA2) * factor * factor,
        root: 1 / Math.sqrt(1 - BETA2 ** count), epsilon: EPSILON, rate: rate / (1 - BETA1 ** count),
        keep: shape.length > 1 ? 1 - rate * this._decay : 1,
      });
    }
    if (this._blocks.length) {
      const ofMuon = MUON_RATE * rate;
      core.array("Float32Array", this._rates, this._blocks.length).set(this._blocks.map((height) => ofMuon * height));
      core.call("muon", { ...this._muon, share: (1 - MOMENTUM) * factor, keep: 1 - ofMuon * this._decay });
    }
    const kept = 1 - Math.min(1, rate * this._pull);
    for (const { value, origin, size } of this._pulled) core.call("average", { averaged: value, parameter: origin, size, share: 1 - kept });
  }

  /** The usual size of each row of the gradient of each weight, as the file of a model has it. */
  gradientScale() {
    return new Map(
      this._scaled.map(({ name, squares, rows }) => [name, Float32Array.from(this.core.array("Float32Array", squares, rows), (square) => Math.sqrt(Number(square)))]),
    );
  }

  /**
   * @param {number} targets
   * @param {number} factor
   */
  _scale(targets, factor) {
    if (this._updates % EVERY) return;
    const share = 1 / Math.min(this._updates / EVERY + 1, WINDOW);
    for (const { gradient, squares, rows, columns } of this._scaled) {
      this.core.call("row_squares", { gradient, squares, rows, columns, keep: 1 - share, share: (share * targets * factor * factor) / columns });
    }
  }
}
