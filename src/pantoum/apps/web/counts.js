// Counted n-grams of a model file, as the core looks them up: network/mixers/counted_ngrams.py says what they mean.

import { need } from "./errors.js";

const ESCAPE = 255;
const CLASSES = 8;
const MOST_ORDER = 8;
const PREFIX = "counts.";

/** @typedef {{starts: Int32Array, tokens: Uint32Array, shares: Float32Array, left: Float32Array, sizes: Int8Array}} Contexts */
/** @typedef {{unigrams: Float32Array, lengths: Contexts[], weights: Float32Array, shortest: number}} Counts */

/**
 * The counts among a file's extras; null where there are none.
 * @param {Map<string, import("./model_file.js").FileArray>} extras
 * @param {number} vocabSize
 * @returns {Counts | null}
 */
export function countsOf(extras, vocabSize) {
  if (![...extras.keys()].some((name) => name.startsWith(PREFIX))) return null;
  const fits = (/** @type {unknown} */ condition, /** @type {string} */ problem) =>
    need(condition, `cannot use the model: its counts ${problem}; use another copy of it, or train again`);
  const typed = (/** @type {string} */ name, /** @type {string} */ kind, /** @type {number} */ axes) => {
    const array = extras.get(PREFIX + name);
    fits(array?.kind === kind && array.shape.length === axes, `have no ${name} as ${kind} with ${axes} axes`);
    return /** @type {import("./model_file.js").FileArray} */ (array);
  };
  const whole = (/** @type {string} */ name) => {
    const numbers = Uint32Array.from(typed(name, "U8", 1).values);
    const large = extras.has(`${PREFIX}${name}.large`) ? typed(`${name}.large`, "U32", 1).values : new Uint32Array();
    let next = 0;
    for (let i = 0; i < numbers.length; ++i) if (numbers[i] === ESCAPE) numbers[i] = large[next++] ?? 0;
    fits(next === large.length, `of ${name} have ${large.length} large numbers, not ${next}`);
    return numbers;
  };
  const discounts = typed("discounts", "F32", 2);
  const highest = discounts.shape[0];
  fits(highest >= 2 && highest <= MOST_ORDER && discounts.shape[1] === 3, `have discounts [${discounts.shape}]`);
  const weights = typed("weights", "F32", 1).values;
  fits(weights.length === CLASSES * highest && weights.every((/** @type {number} */ w) => w >= 0 && w <= 1), "have no weights from 0 to 1 for their classes");
  const width = Math.max(1, Math.ceil(Math.log2(vocabSize) / 8));
  /** @type {Contexts[]} */
  const lengths = [];
  let [starts, lost] = [Int32Array.of(0, vocabSize), new Uint32Array(1)];
  let [unigrams, shortest] = [new Float32Array(), 0];
  for (let order = 1; order <= highest; ++order) {
    const counts = whole(`${order}.counts`);
    const M = counts.length;
    const tokens = new Uint32Array(M);
    if (order === 1) tokens.forEach((_, i) => (tokens[i] = i));
    else {
      const { shape, values } = typed(`${order}.tokens`, "U8", 2);
      fits(shape[0] === M && shape[1] === width, `of order ${order} have tokens [${shape}]`);
      for (let i = 0; i < M; ++i) for (let byte = width - 1; byte >= 0; --byte) tokens[i] = tokens[i] * 256 + values[i * width + byte];
    }
    fits(M === starts.at(-1) && M > 0 && tokens.every((token) => token < vocabSize), `of order ${order} are not those of ${vocabSize} symbols`);
    fits(order === 1 ? counts.some(Boolean) : counts.every(Boolean), `of order ${order} are 0`);
    const taken = [0, ...discounts.values.subarray(3 * (order - 1), 3 * order)];
    fits(taken.every((d, i) => d >= 0 && d <= i), `have discounts ${taken.slice(1)}`);
    const P = starts.length - 1;
    const [shares, left, sizes] = [new Float32Array(M), new Float32Array(P), new Int8Array(P)];
    for (let context = 0; context < P; ++context) {
      let [total, away] = [0, 0];
      for (let i = starts[context]; i < starts[context + 1]; ++i) {
        fits(i === starts[context] || tokens[i] > tokens[i - 1], `of order ${order} are not in order`);
        total += counts[i];
        away += taken[Math.min(counts[i], 3)];
      }
      total += lost[context];
      away += lost[context];
      const divisor = Math.fround(total || 1);
      for (let i = starts[context]; i < starts[context + 1]; ++i) {
        shares[i] = Math.fround(Math.fround(counts[i] - taken[Math.min(counts[i], 3)]) / divisor);
      }
      left[context] = total ? away / total : 1;
      sizes[context] = total ? Math.min(Math.ceil(Math.log2(total)), CLASSES - 1) : -1;
    }
    if (order === 1) {
      const share = Math.fround(left[0] / Math.fround(vocabSize));
      unigrams = shares.map((p) => Math.fround(p + share));
      shortest = Math.max(0, sizes[0]);
    } else {
      lengths.push({ starts, tokens, shares, left, sizes });
    }
    if (order === highest) break;
    const children = whole(`${order}.children`);
    lost = extras.has(`${PREFIX}${order}.lost`) ? whole(`${order}.lost`) : new Uint32Array(M);
    fits(children.length === M && lost.length === M, `of order ${order} have arrays of different sizes`);
    starts = new Int32Array(M + 1);
    for (let i = 0; i < M; ++i) starts[i + 1] = starts[i] + children[i];
    fits(starts[M] < 2 ** 31 && starts.every((start, i) => i === 0 || start >= starts[i - 1]), `of order ${order} have too many continuations`);
  }
  return { unigrams, lengths, weights, shortest };
}

/**
 * The probability of a token by the counts alone after the last tokens (each as its number + 1, the oldest first; 0:
 * none), and the class of that context.
 * @param {Counts} counts
 * @param {ArrayLike<number>} recent
 * @param {number} token
 */
export function countedProbability({ unigrams, lengths, shortest }, recent, token) {
  let known = 0;
  while (known < recent.length && recent[recent.length - 1 - known] > 0) ++known;
  const symbols = Array.from({ length: known }, (_, back) => recent[recent.length - 1 - back] - 1);
  const child = (/** @type {Contexts} */ { starts, tokens }, /** @type {number} */ node, /** @type {number} */ wanted) => {
    let [low, high] = [starts[node], starts[node + 1]];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tokens[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return low < starts[node + 1] && tokens[low] === wanted ? low : -1;
  };
  let [p, bucket] = [unigrams[token], shortest];
  lengths.forEach((contexts, place) => {
    if (place >= symbols.length) return;
    let node = symbols[place];
    for (let back = place - 1; back >= 0 && node >= 0; --back) node = child(lengths[place - 1 - back], node, symbols[back]);
    if (node < 0) return;
    const found = child(contexts, node, token);
    p = contexts.left[node] * p + (found >= 0 ? contexts.shares[found] : 0);
    if (contexts.sizes[node] >= 0) bucket = CLASSES * (place + 1) + contexts.sizes[node];
  });
  return { p, bucket };
}
