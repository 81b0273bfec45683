// Batches in which row i goes on where row i of the batch before ended: data/batches.py.

/** @typedef {{inputs: Int32Array, targets: Int32Array, resets: Uint8Array | null}} Batch each of them by steps, [T, B] */

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
    const { streams: B, chunk: T } = this;
    const length = this.perEpoch * T;
    const [inputs, targets] = [new Int32Array(T * B), new Int32Array(T * B)];
    for (let stream = 0; stream < B; ++stream) {
      const begin = ((stream + this._epoch) % B) * length + this._batch * T;
      for (let t = 0; t < T; ++t) {
        inputs[t * B + stream] = this._tokens[begin + t];
        targets[t * B + stream] = this._tokens[begin + t + 1];
      }
    }
    let resets = null;
    if (this._batch === 0) {
      // The stream at which the end of the text meets its beginning.
      resets = new Uint8Array(T * B);
      resets[(B - (this._epoch % B)) % B] = 1;
    }
    if (++this._batch === this.perEpoch) [this._epoch, this._batch] = [this._epoch + 1, 0];
    return { inputs, targets, resets };
  }
}
