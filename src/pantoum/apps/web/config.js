// The shape of a network, and the parameters that it has: network/spec.py.

import { need } from "./errors.js";

/** @typedef {{name: string, gates: number, products: number[], states: number, hiddenBias: boolean, biased: boolean}} Cell */

/** @type {Cell[]} */
const CELLS = [
  { name: "rnn", gates: 1, products: [1], states: 1, hiddenBias: true, biased: false },
  { name: "gru", gates: 3, products: [3], states: 1, hiddenBias: true, biased: true },
  { name: "gru-before", gates: 3, products: [2, 1], states: 1, hiddenBias: false, biased: false },
  { name: "lstm", gates: 4, products: [4], states: 2, hiddenBias: true, biased: false },
  { name: "mingru", gates: 2, products: [], states: 1, hiddenBias: false, biased: false },
];
const KNOWN = ["cell", "hidden_size", "num_layers", "embedding_size", "tied", "dropout", "ngrams", "ngram_rows", "members", "norm", "residual", "precision"];
const TABLE = "ngrams.weight";
const MOST_IN_TABLE = 2 ** 28;
const SPARE = 1 << 20;

/** @typedef {{name: string, shape: number[], role: "map" | "input" | "output" | "table" | "vector"}} Parameter */
/** @typedef {ReturnType<typeof shapeOf>} Shape */

/**
 * The network's shape, from a file's configuration; everything that it cannot be is refused.
 * @param {any} config
 * @param {number} vocabSize
 */
export function shapeOf(config, vocabSize) {
  const unknown = Object.keys(config).filter((key) => !KNOWN.includes(key));
  need(!unknown.length, `the model's configuration has unknown keys: ${unknown.join(", ")}; use a newer pantoum`);
  need((config.norm ?? null) === null && !config.residual, "the model has norm or residual, which this version no longer has: train again");
  const bounded = (/** @type {string} */ key, /** @type {number} */ most, /** @type {any} */ missing) => {
    const value = config[key] ?? missing;
    need(Number.isInteger(value) && value >= 1 && value <= most, `the model's ${key} is ${value}: it must be from 1 to ${most}`);
    return /** @type {number} */ (value);
  };
  const cell = CELLS.find(({ name }) => name === (config.cell ?? "gru"));
  need(cell, `the model has cells of a kind that pages do not have: ${config.cell}`);
  const precision = config.precision ?? "float32";
  need(["float32", "int8"].includes(precision), `the model's precision is ${precision}: it must be float32 or int8`);
  const ngrams = config.ngrams ?? [];
  const orders = Array.isArray(ngrams) && ngrams.every((n, i) => Number.isInteger(n) && n >= 2 && n <= 16 && (i === 0 || n > ngrams[i - 1]));
  need(orders, `the model's ngrams are ${ngrams}: they must be different orders from 2 to 16, the lowest first`);
  const rows = bounded("ngram_rows", 2 ** 24, 16384);
  need(rows >= 16 && Number.isInteger(Math.log2(rows)), `the model's ngram_rows is ${rows}: it must be a power of two from 16`);
  need(ngrams.length * rows * vocabSize <= MOST_IN_TABLE, "the model's table of n-grams is too large");
  const shape = {
    cell: /** @type {Cell} */ (cell),
    units: bounded("hidden_size", 65_536, 512),
    layers: bounded("num_layers", 256, 3),
    embedding: config.embedding_size == null ? 0 : bounded("embedding_size", 65_536, 1),
    tied: Boolean(config.tied),
    members: bounded("members", 64, 1),
    ngrams: /** @type {number[]} */ (ngrams),
    ngramRows: rows,
    precision: /** @type {"float32" | "int8"} */ (precision),
    vocabSize,
  };
  need(!shape.tied || shape.embedding, "the model is tied and has no embedding");
  need(!shape.tied || shape.members === 1 || shape.embedding === shape.units, "the model's members are tied and their embedding has another size than the layers");
  return shape;
}

/**
 * The prefix of the names of a member's parameters.
 * @param {Shape} shape
 * @param {number} member
 */
export function prefix(shape, member) {
  return shape.members === 1 ? "" : `members.${member}.`;
}

/**
 * The parameters by name.
 * @param {Shape} shape
 * @returns {Map<string, Parameter>}
 */
export function declared(shape) {
  const { cell, units: H, embedding: E, vocabSize: V, members: K } = shape;
  /** @type {Map<string, Parameter>} */
  const found = new Map();
  const add = (/** @type {string} */ name, /** @type {number[]} */ sizes, /** @type {Parameter["role"]} */ role) => {
    found.set(name, { name, shape: sizes, role });
  };
  const G = cell.gates * H;
  for (let member = 0; member < K; ++member) {
    const own = prefix(shape, member);
    if (E) add(`${own}embedding.weight`, [V, E], "input");
    for (let layer = 0; layer < shape.layers; ++layer) {
      const at = `${own}stack.${layer}.`;
      const oneHot = !E && layer === 0;
      add(`${at}weight_ih`, [G, layer ? H : E || V], oneHot ? "input" : "map");
      if (cell.products.length) add(`${at}weight_hh`, [G, H], "map");
      add(`${at}bias_ih`, [G], "vector");
      if (cell.hiddenBias) add(`${at}bias_hh`, [G], "vector");
    }
  }
  if (!shape.tied) add("head.weight", [V, K * H], "output");
  else if (K * E !== K * H) add("head.projection.weight", [K * E, K * H], "map");
  add("head.bias", [V], "vector");
  if (shape.ngrams.length) add(TABLE, [shape.ngrams.length * shape.ngramRows, V], "table");
  return found;
}

/**
 * Refuses a configuration that needs far more numbers than a file holds, before anything is made of it.
 * @param {Map<string, Parameter>} parameters
 * @param {number} numbers
 */
export function requireFilled(parameters, numbers) {
  let needed = 0;
  for (const { shape } of parameters.values()) needed += shape.reduce((product, size) => product * size, 1);
  need(numbers + SPARE >= needed, `the model's configuration needs ${needed} numbers but its arrays hold ${numbers}; use another copy of it, or train again`);
}
