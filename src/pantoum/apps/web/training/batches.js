// Batches in which row i goes on where row i of the batch before ended: data/batches.py.

/** @typedef {{inputs: Int32Array, targets: Int32Array, resets: Uint8Array | null}} Batch each of them by steps, [T, B] */

const GOLDEN = 0x9e3779b9;

export class StatefulBatches {
  /**
   * @param {Uint16Array} tokens
   * @param {number} streams
   * @param {number} chunk
   */
  constructor(tokens, streams, chunk) {
    this._tokens = tokens;
    /** Steps in use, T, fewer than asked for where the text is short. */
    this.chunk = Math.min(chunk, tokens.length - 1);
    /** Streams in use, B. */
    this.streams = Math.min(streams, Math.floor((tokens.length - 1) / this.chunk));
    /** Batches of an epoch. */
    this.perEpoch = Math.floor((tokens.length - 1) / (this.streams * this.chunk));
    this._epoch = 0;
    this._batch = 0;
  }

  /** @returns {Batch} */
  next() {
    const { streams: B, chunk: T, perEpoch } = this;
    const [inputs, targets] = [new Int32Array(T * B), new Int32Array(T * B)];
    const first = this._spread(1, this._tokens.length - perEpoch * B * T);
    /** @type {Uint8Array | null} */
    let resets = null;
    for (let stream = 0; stream < B; ++stream) {
      const chunk = (this._spread(stream, perEpoch) + this._batch) % perEpoch;
      const begin = first + (stream * perEpoch + chunk) * T;
      for (let t = 0; t < T; ++t) {
        inputs[t * B + stream] = this._tokens[begin + t];
        targets[t * B + stream] = this._tokens[begin + t + 1];
      }
      if (chunk === 0 || this._batch === 0) (resets ??= new Uint8Array(T * B))[stream] = 1;
    }
    if (++this._batch === perEpoch) [this._epoch, this._batch] = [this._epoch + 1, 0];
    return { inputs, targets, resets };
  }

  /**
   * A number below `count` for a row in this epoch, 0 in epoch 0.
   * @param {number} row
   * @param {number} count
   */
  _spread(row, count) {
    return Math.floor(((Math.imul(Math.imul(this._epoch, row), GOLDEN) >>> 0) * count) / 2 ** 32);
  }
}
