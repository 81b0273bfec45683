// The one error that this library raises on purpose: its message is a sentence for a person.

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
  need(Number.isInteger(value) && value >= least && value <= most, `${name} is ${String(value)}: give a whole number from ${least} to ${most}`);
  return /** @type {number} */ (value);
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
