// A model that training begins from: its weights as numbers, its vocabulary, which grows, and whether it helps with a text
// (training/source.py).

import { Core } from "../core.js";
import { shapeOf } from "../config.js";
import { need } from "../errors.js";
import { readModelFile } from "../model_file.js";
import { declaredSize, tokenizerOf } from "../text/tokenizers.js";
import { floats, weightsOf } from "../weights.js";
import { StatefulBatches } from "./batches.js";
import { TrainedNetwork, sum } from "./trained_network.js";

/** The weights that have a row for each symbol. */
const OF_SYMBOLS = /^(?:embedding|head)\./;
const MOST_NATS = 2;
const [LOOKED, READ] = [1 << 16, 8192];
/** How that is read, which takes a second or two: a batch only warms the streams, where there is another. */
const [STREAMS, CHUNK] = [16, 128];

/** @typedef {{name: string, sha256: string, config: any, spec: any, shape: import("../config.js").Shape, weights: Map<string, import("../weights.js").Weight>}} Base */

/**
 * @param {Uint8Array} file the bytes of a model file
 * @param {string} name what `--from` calls it
 * @returns {Promise<Base>}
 */
export async function baseOf(file, name) {
  const { config, parameters, tokenizer: spec, sha256 } = readModelFile(file);
  const shape = shapeOf(config, declaredSize(spec));
  const { cell, embedding, tied, members, ngrams } = shape;
  const reads = ["bytes", "characters"].includes(spec.kind) && !spec.documents;
  const plain = cell.name === "gru" && embedding && !tied && members === 1 && !ngrams.length;
  need(reads && plain, `training in a page cannot begin from ${name}: only from a GRU with an embedding, of characters or bytes and of one text; begin from nothing`);
  return { name, sha256, config, spec, shape, weights: await weightsOf(shape, parameters) };
}

/**
 * The weights for so many symbols: a new one begins as the mean of the others.
 * @param {Base} base
 * @param {number} symbols
 * @returns {Map<string, Float32Array>}
 */
export function grown({ shape, weights }, symbols) {
  const known = shape.vocabSize;
  const found = new Map();
  for (const [name, weight] of weights) {
    const values = floats(weight);
    found.set(name, values);
    if (!OF_SYMBOLS.test(name) || symbols === known) continue;
    const columns = values.length / known;
    const larger = new Float32Array(symbols * columns);
    larger.set(values);
    for (let column = 0; column < columns; ++column) {
      // In the order in which NumPy adds.
      let total = columns === 1 ? sum(values, 0, known) : 0;
      for (let row = 0; columns > 1 && row < known; ++row) total += values[row * columns + column];
      for (let row = known; row < symbols; ++row) larger[row * columns + column] = total / known;
    }
    found.set(name, larger);
  }
  return found;
}

/**
 * Nats per byte that a base needs for the beginning of a text, about as many as `pantoum train` says; Infinity: it is not UTF-8.
 * @param {BufferSource} module of a core, whose memory is given back afterwards
 * @param {Base} base
 * @param {Uint8Array} bytes
 * @returns {Promise<number>}
 */
export async function needed(module, base, bytes) {
  let text = "";
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    text = [...new TextDecoder().decode(bytes.subarray(0, LOOKED), { stream: true })].slice(-READ).join("");
  } catch {
    return Infinity;
  }
  const tokens = Uint16Array.from(tokenizerOf(base.spec).encode(text));
  if (tokens.length < 2) return Infinity;
  const batches = new StatefulBatches(tokens, STREAMS, CHUNK);
  const { streams, chunk, perEpoch } = batches;
  const start = grown(base, base.shape.vocabSize);
  const network = new TrainedNetwork(await Core.load(module), base.shape, { streams, chunk, dropout: 0, seed: 0n, start });
  const losses = Array.from({ length: perEpoch }, () => network.loss(batches.next()));
  const scored = losses.slice(Number(perEpoch > 1));
  const mean = scored.reduce((total, loss) => total + loss, 0) / scored.length;
  return (mean * (tokens.length - 1)) / new TextEncoder().encode(text).length;
}

/**
 * The base, if it helps with a text, and why.
 * @param {BufferSource} module
 * @param {Base} base
 * @param {Uint8Array} bytes
 * @returns {Promise<{base: Base | null, reason: string}>}
 */
export async function helping(module, base, bytes) {
  const nats = await needed(module, base, bytes);
  const reason = `${base.name} needs ${nats.toFixed(2)} nats per byte for the beginning of the text: training begins from`;
  if (nats < MOST_NATS) return { base, reason: `${reason} it.` };
  return { base: null, reason: nats === Infinity ? "" : `${reason} nothing; it helps where it needs less than ${MOST_NATS}.` };
}
