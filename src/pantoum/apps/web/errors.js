// The one error that this library raises on purpose: its message is a sentence for a person.

const MOST_SEED = 2n ** 63n - 1n;

export class PantoumError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "PantoumError";
  }
}

/**
 * @param {unknown} fits
 * @param {string} message
 * @returns {asserts fits}
 */
export function need(fits, message) {
  if (!fits) throw new PantoumError(message);
}

/**
 * A whole number within bounds.
 * @param {unknown} value
 * @param {string} name
 * @param {number} [least]
 * @param {number} [most]
 * @returns {number}
 */
export function whole(value, name, least = 0, most = Number.MAX_SAFE_INTEGER) {
  need(typeof value === "number" && Number.isInteger(value) && value >= least && value <= most, `${name} is ${String(value)}: give a whole number from ${least} to ${most}`);
  return /** @type {number} */ (value);
}

/**
 * A seed, which may be larger than the whole numbers that a number holds exactly.
 * @param {unknown} value
 * @returns {bigint}
 */
export function seedOf(value) {
  const fits = typeof value === "bigint" ? value >= 0n && value <= MOST_SEED : Number.isSafeInteger(value) && Number(value) >= 0;
  need(fits, `seed is ${String(value)}: give a whole number from 0 to ${MOST_SEED}, from 2^53 on as a BigInt (${MOST_SEED}n)`);
  return BigInt(/** @type {number | bigint} */ (value));
}

/**
 * A number within bounds.
 * @param {unknown} value
 * @param {string} name
 * @param {number} least
 * @param {number} most
 * @returns {number}
 */
export function number(value, name, least, most) {
  need(typeof value === "number" && value >= least && value <= most, `${name} is ${String(value)}: give a number from ${least} to ${most}`);
  return /** @type {number} */ (value);
}
