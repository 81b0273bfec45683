// A stream of text with a model: it reads, it writes, and its state can be taken, forked and gone back to.

import { need, whole } from "./errors.js";
import { Generation } from "./generation.js";
import { samplingOf } from "./sampling.js";
import { stateBytes, stateOf } from "./state.js";
import { encodePrompt, spaceHeld } from "./text/prompt.js";
import { decoded } from "./text/tokenizers.js";

const LONGEST = 4;
const MOST_OF_A_WORD = 24;
/** What ends a word, and what begins another one. */
const ENDS = /[\s.,;:!?]$/u;
const STARTS = /^[\s.,;:!?]/u;

/** @typedef {import("./state.js").State} State */

export class Session {
  /**
   * @param {import("./model.js").Model} model
   * @param {State | Uint8Array | null} [state]
   */
  constructor(model, state = null) {
    this.model = model;
    /** @type {State} */
    this._state = model.start();
    if (state) this.rewind(state);
  }

  /** Where it stands, as the bytes that Python's `bytes(session.state)` are. */
  get state() {
    return stateBytes(this._state);
  }

  get tokensSeen() {
    return this._state.tokensSeen;
  }

  /**
   * Goes back (or on) to a state of this model.
   * @param {State | Uint8Array} state
   */
  rewind(state) {
    this._state = this.model.checked(state instanceof Uint8Array ? stateOf(state) : state);
  }

  /** A second session with the same past. */
  fork() {
    return new Session(this.model, this._state);
  }

  /**
   * Reads a text; notes say what the model does not know of it.
   * @param {string} text
   * @returns {string[]}
   */
  feed(text) {
    need(typeof text === "string", `text is ${typeof text}: give a string`);
    const { tokenizer, program } = this.model;
    const { lastToken, tokensSeen, pending: before } = this._state;
    const [read, held] = spaceHeld(tokenizer, text, before);
    const { tokens, notes } = encodePrompt(tokenizer, read);
    const layers = this._state.layers.map((layer) => layer.slice());
    const inputs = lastToken === null ? tokens : [lastToken, ...tokens];
    const end = inputs.length - 1;
    const { eos } = this.model;
    // The state is zeroed at a border of documents, so nothing before the last one has any influence.
    const border = eos === null ? -1 : inputs.lastIndexOf(eos, end - 1);
    for (let at = Math.max(0, end > 0 ? border : 0); at < end; ++at) {
      if (inputs[at] === eos) for (const layer of layers) layer.fill(0);
      program.step(layers, inputs[at]);
    }
    this._state = {
      layers,
      lastToken: inputs.length ? inputs[end] : null,
      tokensSeen: tokensSeen + tokens.length,
      pending: held ?? undecoded(tokenizer, tokens, before),
      modelSha256: this._state.modelSha256,
    };
    return notes;
  }

  /**
   * Writes on, a piece at a time; the session stands after the pieces that were taken.
   * @param {{length?: number, seed?: number | bigint} & Record<string, any>} [settings]
   * @returns {Generator<import("./generation.js").Piece, string>}
   */
  *generate({ length = 500, seed, ...sampling } = {}) {
    const writing = new Generation(this.model, this._state, samplingOf(sampling), {
      length: whole(length, "length"),
      seed: this.model.seed(seed),
      exact: true,
    });
    for (const piece of writing) {
      this._state = writing.state;
      yield piece;
    }
    this._state = writing.state;
    return writing.text;
  }

  /**
   * The most probable next tokens under the model itself, the best first.
   * @param {number} [k]
   * @returns {{text: string, probability: number, token: number}[]}
   */
  suggest(k = 10) {
    const { tokenizer, program } = this.model;
    const logits = Float64Array.from(this.model.logitsAfter(this._state));
    const most = logits.reduce((a, b) => Math.max(a, b));
    const sum = logits.reduce((all, logit) => all + Math.exp(logit - most), 0);
    const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
    return order.slice(0, whole(k, "k", 1)).map((token) => ({
      token,
      text: decoded(tokenizer, [token]),
      probability: Math.exp(logits[token] - most) / sum,
    }));
  }

  /**
   * The most probable beginnings of what comes next, each to the end of a word: its first token and then always the
   * most probable one. The probability is that of the first token.
   * @param {number} [k]
   * @returns {{text: string, probability: number}[]}
   */
  words(k = 8) {
    const { banned, border, eos, program, tokenizer } = this.model;
    const found = this.suggest(k + banned.length).filter(({ token, text }) => text && token !== eos && !banned.includes(token));
    return found.slice(0, k).map(({ token, probability }) => {
      const before = this._state.lastToken ?? border;
      const layers = before === eos ? program.zeros() : this._state.layers.map((layer) => layer.slice());
      const decoder = tokenizer.decoder(this._state.pending);
      program.step(layers, before);
      let [text, last] = [decoder.push(token), token];
      for (let more = 0; more < MOST_OF_A_WORD && !ENDS.test(text); ++more) {
        program.step(layers, last);
        last = best(program.logits, banned);
        const piece = last === eos ? " " : decoder.push(last);
        if (STARTS.test(piece)) break;
        text += piece;
      }
      return { text, probability };
    });
  }
}

/**
 * The token of the largest logit.
 * @param {Float32Array} logits
 * @param {number[]} banned
 */
function best(logits, banned) {
  let [found, most] = [0, -Infinity];
  for (let token = 0; token < logits.length; ++token) {
    if (logits[token] > most && !banned.includes(token)) [found, most] = [token, logits[token]];
  }
  return found;
}

/**
 * The bytes at the end of some tokens that do not make a whole character.
 * @param {import("./text/tokenizers.js").Tokenizer} tokenizer
 * @param {number[]} tokens
 * @param {Uint8Array} pending
 */
function undecoded(tokenizer, tokens, pending) {
  const decoder = tokenizer.decoder(tokens.length < LONGEST ? pending : new Uint8Array());
  for (const token of tokens.slice(-LONGEST)) decoder.push(token);
  return decoder.pending;
}
