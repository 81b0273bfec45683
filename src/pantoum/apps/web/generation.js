// One text as it is written: inference/writing/stream_batch.py and generation.py, for one stream.

import { Draw } from "./sampling.js";

const SHARE = 0.2;
const MOST = 200;
const TAIL = 8;
const CLOSED = "[.!?…][\"'”’»)\\]]*";
const AFTER_SPACE = new RegExp(`(?:\\n|${CLOSED}[ \\t])$`);
const AT_ONCE = new RegExp(`(?:\\n|${CLOSED})$`);

/** @typedef {{text: string, nats: number}} Piece some characters, never a part of one, and what they cost the model */

export class Generation {
  /**
   * @param {import("./model.js").Model} model
   * @param {import("./state.js").State} state
   * @param {import("./sampling.js").Sampling} sampling
   * @param {{length: number, seed: bigint, stream?: number, exact: boolean}} how
   */
  constructor(model, state, sampling, { length, seed, stream = 0, exact }) {
    const { tokenizer, program, eos } = model;
    this.model = model;
    this.seed = seed;
    this.text = "";
    this.tokens = 0;
    /** Why it ended before its length: "stop" or "eos". @type {"stop" | "eos" | null} */
    this.stopped = null;
    this.ended = length === 0;
    this._length = length;
    this._last = state.lastToken ?? model.border;
    this._begun = state;
    this._layers = this._last === eos ? program.zeros() : state.layers.map((layer) => layer.slice());
    const { banned } = model;
    this._draw = new Draw(program, sampling, { seed, stream, position: state.tokensSeen, banned, edges: tokenizer.edges });
    /** @type {import("./text/decoder.js").Decoder | null} */
    this._decoder = state.pending.length ? tokenizer.decoder(state.pending) : null;
    this._stops = sampling.stop;
    this._held = "";
    const early = !exact && eos === null && !sampling.stop.length;
    this._early = early ? length - Math.min(Math.trunc(SHARE * length), MOST) : length;
    this._ending = tokenizer.single ? AFTER_SPACE : AT_ONCE;
    this._tail = "";
  }

  /** The nats of all tokens under the model itself. */
  get nats() {
    return this._draw.nats;
  }

  /** Where the text stands: the last token drawn is still unread. @returns {import("./state.js").State} */
  get state() {
    return {
      layers: this._layers.map((layer) => layer.slice()),
      lastToken: this._last,
      tokensSeen: this._draw.position,
      pending: this._decoder?.pending ?? new Uint8Array(),
      modelSha256: this._begun.modelSha256,
    };
  }

  /** @returns {Generator<Piece, void>} */
  *[Symbol.iterator]() {
    while (!this.ended) {
      const piece = this.next();
      if (piece.text) yield piece;
    }
  }

  /** Writes one token; the text that can be shown may be empty. @returns {Piece} */
  next() {
    const before = this.nats;
    this.model.program.step(this._layers, this._last);
    const token = this._draw.next(this._last);
    this._last = token;
    this.tokens += 1;
    let shown = "";
    if (token === this.model.eos) this.stopped = "eos";
    else shown = this._take(token);
    if (this.stopped || this.tokens === this._length) {
      this.ended = true;
      shown += this._held;
      this._held = "";
    }
    if (shown && this.tokens >= this._early) {
      this._tail = (this._tail + shown).slice(-TAIL);
      if (this._ending.test(this._tail)) this.ended = true;
    }
    this.text += shown;
    return { text: shown, nats: this.nats - before };
  }

  /**
   * What can be shown after a token; `stopped` says when a stop string is complete.
   * @param {number} token
   */
  _take(token) {
    this._decoder ??= this.model.tokenizer.decoder();
    this._held += this._decoder.push(token);
    const size = this._stops.length ? this._unstopped() : this._held.length;
    if (!this._decoder.pending.length) this._decoder = null;
    const shown = this._held.slice(0, size);
    this._held = this._held.slice(size);
    return shown;
  }

  /** How many held characters cannot be part of a stop string. */
  _unstopped() {
    const held = this._held;
    // The one that is complete first counts, so that it does not matter how the text is cut into tokens.
    const found = this._stops.map((stop) => [held.indexOf(stop), stop.length]).filter(([at]) => at >= 0);
    if (found.length) {
      found.sort(([a, b], [c, d]) => a + b - (c + d) || a - c);
      this.stopped = "stop";
      this._held = held.slice(0, found[0][0]);
      return this._held.length;
    }
    let begun = 0;
    for (const stop of this._stops) {
      for (let size = Math.min(stop.length - 1, held.length); size > begun; --size) {
        if (held.endsWith(stop.slice(0, size))) {
          begun = size;
          break;
        }
      }
    }
    return held.length - begun;
  }
}
