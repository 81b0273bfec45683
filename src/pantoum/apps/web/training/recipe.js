// What `pantoum train --steps N` chooses for a text of characters or bytes and a GRU of given size: training/recipe.

/** Fixed by the recipe. */
export const CLIP = 1;
export const WARM_UP = 0.04;
const [STREAMS, CHUNK, UPDATES_PER_EPOCH] = [64, 64, 30];
const RATE_BATCH = 4096;
/** @type {Record<string, [number, number]>} */
const RATES = { adamw: [4e-3, 384], muon: [8e-3, 288] };
const [ROUNDS_COST, MOST_FOR_ROUNDS] = [1.8, 0.6];
/** @type {Record<string, number>} */
const WEIGHT_DECAY = { adamw: 0.01, muon: 0.1 };
const [DROPOUT, LEAST_DROPOUT, MOST_DROPOUT] = [0.033, 0.12, 0.35];
const AVERAGED_SHARE = 0.05;
/** Of fine-tuning: the rate as a share of that from nothing, the pull, and dropout where a text is read more often than that. */
const [FINE_TUNING, PULL, MOST_PULL, TUNED_DROPOUT, TUNED_EPOCHS] = [0.25, 20, 40, 0.1, 2];

/** @typedef {ReturnType<typeof chosen>} Recipe */

/**
 * @param {{tokens: number, symbols: number, steps: number, units: number, layers: number, seed: bigint, tuned: number}} given tuned: the
 *   embedding of the base that training begins from; 0: from nothing
 */
export function chosen({ tokens, symbols, steps, units, layers, seed, tuned }) {
  const embedding = tuned || Math.max(16, Math.round(units / 3 / 16) * 16);
  const chunk = Math.max(8, Math.min(CHUNK, powerOfTwo(Math.max(8, Math.floor(tokens / 64)))));
  const streams = Math.max(1, Math.min(STREAMS, powerOfTwo(Math.max(1, tokens / (UPDATES_PER_EPOCH * chunk)))));
  const batch = streams * chunk;
  const work = 3 * units * (units + embedding) + (layers - 1) * 6 * units * units + units * symbols;
  const epochs = (steps * batch) / tokens;
  const byHeart = epochs * Math.sqrt(work / tokens);
  const rate = tuned ? (epochs > TUNED_EPOCHS ? TUNED_DROPOUT : 0) : rounded(Math.min(DROPOUT * Math.sqrt(byHeart), MOST_DROPOUT), 2);
  const pull = tuned ? Math.min(PULL * Math.sqrt(1e5 / tokens), MOST_PULL) : 0;
  const optimizer = (ROUNDS_COST * units) / batch <= MOST_FOR_ROUNDS ? "muon" : "adamw";
  const [highest, width] = RATES[optimizer];
  const learningRate = highest * (Math.sqrt(Math.min(1, batch / RATE_BATCH)) * Math.sqrt(width / units));
  return {
    units,
    layers,
    embedding,
    streams,
    chunk,
    optimizer,
    /** The highest one. */
    learningRate: Number((Math.min(Math.max(learningRate, 5e-4), 8e-3) * (tuned ? FINE_TUNING : 1)).toPrecision(3)),
    weightDecay: tuned ? 0 : WEIGHT_DECAY[optimizer],
    /** How far a step at a rate of 1 moves the matrices back to those of the base; of two digits. */
    pull: rounded(pull, pull < 10 ? 1 : 0),
    /** Variational, at every place. */
    dropout: tuned || rate >= LEAST_DROPOUT ? rate : 0,
    /** Of the averaged weights, of which a model with nothing held out makes no use. */
    average: rounded(1 - 1 / Math.min(Math.max(10, AVERAGED_SHARE * Math.max(1, steps)), 1000), 6),
    seed,
  };
}

/**
 * The learning rate of the update after so many, as a share of the highest one.
 * @param {number} step
 * @param {number} steps
 */
export function rateFactor(step, steps) {
  const progress = Math.min(Math.max((step + 0.5) / steps, 0), 1);
  return Math.min(1, progress / WARM_UP, (1 - progress) / (1 - WARM_UP));
}

/** The highest power of two that is not above a number. @param {number} value */
function powerOfTwo(value) {
  return 2 ** (31 - Math.clz32(value));
}

/**
 * Python's `round`: of two equally near numbers the even one.
 * @param {number} value
 * @param {number} digits
 */
function rounded(value, digits) {
  const found = Number(value.toFixed(digits));
  const halfway = Number.isInteger(value * 2 ** (digits + 1)) && !Number.isInteger(value * 2 ** digits);
  return halfway && Math.round(found * 10 ** digits) % 2 ? Number((found - 10 ** -digits).toFixed(digits)) : found;
}
