// Judges each update before the weights move: training/update/update_guard.py. What comes after three bad updates in a
// row, going back to a checkpoint, the page does not do: it stops, and says so.

import { PantoumError } from "../errors.js";

const [WINDOW, KNOWN, PATIENCE] = [64, 16, 3];

export class UpdateGuard {
  /** @param {number} symbols */
  constructor(symbols) {
    this._sane = 3 * Math.log(symbols) + 1;
    /** @type {number[]} */
    this._losses = [];
    this._bad = 0;
  }

  /**
   * Whether an update of this loss and norm is made.
   * @param {number} loss
   * @param {number} norm
   */
  accepts(loss, norm) {
    if (Number.isFinite(loss) && Number.isFinite(norm) && loss <= this._limit()) {
      this._bad = 0;
      this._losses.push(loss);
      if (this._losses.length > WINDOW) this._losses.shift();
      return true;
    }
    if (++this._bad === PATIENCE) {
      throw new PantoumError(`training does not recover: a loss of ${loss.toPrecision(4)}, ${PATIENCE} times in a row; give another seed, more text, or fewer units`);
    }
    return false;
  }

  /** The loss above which the next update is a spike. */
  _limit() {
    if (this._losses.length < KNOWN) return this._sane;
    const middle = median(this._losses);
    const sigma = 1.4826 * median(this._losses.map((loss) => Math.abs(loss - middle)));
    return middle + Math.max(10 * sigma, middle, 1);
  }
}

/** @param {number[]} values */
function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
