// A trained model: it writes, scores and suggests. It never changes; sessions hold all state.

import { shapeOf } from "./config.js";
import { countsOf } from "./counts.js";
import { need, seedOf, whole } from "./errors.js";
import { Generation } from "./generation.js";
import { readModelFile } from "./model_file.js";
import { Program } from "./program.js";
import { samplingOf } from "./sampling.js";
import { scoresOf } from "./score.js";
import { Session } from "./session.js";
import { declaredSize, encoded, tokenizerOf } from "./text/tokenizers.js";
import { weightsOf } from "./weights.js";

const LARGE = 1e6;

/** @typedef {import("./state.js").State} State */

export class Model {
  /**
   * The model of a file's bytes, every byte of which is verified.
   * @param {import("./core.js").Core} core
   * @param {Uint8Array} bytes
   * @returns {Promise<Model>}
   */
  static async load(core, bytes) {
    const content = readModelFile(bytes);
    const shape = shapeOf(content.config, declaredSize(content.tokenizer));
    const weights = await weightsOf(shape, content.parameters);
    const tokenizer = tokenizerOf(content.tokenizer);
    const program = new Program(core, shape, weights, countsOf(content.extras, shape.vocabSize));
    return new Model(program, tokenizer, content);
  }

  /**
   * @param {Program} program
   * @param {import("./text/tokenizers.js").Tokenizer} tokenizer
   * @param {import("./model_file.js").ModelFile} content
   */
  constructor(program, tokenizer, { card, config, sha256 }) {
    this.program = program;
    this.tokenizer = tokenizer;
    this.card = card;
    this.config = config;
    this.sha256 = sha256;
    /** What a document is to this model; null: it learned one long text. */
    this.documents = tokenizer.documents;
    /** The token before which the state is zeroed. @type {number | null} */
    this.eos = tokenizer.documents ? 0 : null;
    const newline = encoded(tokenizer, "\n");
    const known = newline.length === 1 && newline[0] !== tokenizer.unk;
    /** What an empty prompt starts after. */
    this.border = known && this.eos === null ? newline[0] : 0;
    const bordered = this.eos !== null || tokenizer.endsLines;
    /** Tokens that are never written. @type {number[]} */
    this.banned = [...(tokenizer.unk === null ? [] : [tokenizer.unk]), ...(bordered ? [] : [0])];
  }

  /** The state of a session that has read nothing. @returns {State} */
  start() {
    return { layers: this.program.zeros(), lastToken: this.eos, tokensSeen: 0, pending: new Uint8Array(), modelSha256: this.sha256 };
  }

  /**
   * A state, if it is one of this model.
   * @param {State} state
   */
  checked(state) {
    const { sizes, shape } = this.program;
    need(
      state.modelSha256 === this.sha256,
      `the state belongs to the model with SHA-256 ${state.modelSha256.slice(0, 12) || "none"}..., not to this one (${this.sha256.slice(0, 12)}...): load that model, or start without a state`,
    );
    const found = state.layers.map((layer) => layer.length);
    const fits = String(found) === String(sizes) && (state.lastToken === null || state.lastToken < shape.vocabSize);
    need(fits, `the state's layers are ${found}: this model needs ${sizes}; a state with a cache belongs to Python alone; start without a state`);
    if (state.layers.some((layer) => layer.some((value) => Math.abs(value) > LARGE))) {
      need(this.logitsAfter(state).every(Number.isFinite), "the state's numbers are so large that the model's scores after it are not finite: it is damaged or was changed; start without a state");
    }
    return state;
  }

  /**
   * The logits of the token that follows a state.
   * @param {State} state
   */
  logitsAfter(state) {
    const last = state.lastToken ?? this.border;
    const layers = last === this.eos ? this.program.zeros() : state.layers.map((layer) => layer.slice());
    this.program.step(layers, last);
    return this.program.logits;
  }

  /**
   * A seed as it was given, or a drawn one that is short enough to be typed again.
   * @param {unknown} given
   * @returns {bigint}
   */
  seed(given) {
    if (given === undefined || given === null) return BigInt(Math.floor(Math.random() * 2 ** 31));
    return seedOf(given);
  }

  /**
   * A stream of text of its own.
   * @param {State | Uint8Array | null} [state]
   */
  session(state = null) {
    return new Session(this, state);
  }

  /**
   * What follows a prompt, piece by piece: the text that `pantoum generate` writes with these settings. `stream`: of
   * several texts of one seed, the number of this one.
   * @param {{prompt?: string, length?: number, seed?: number | bigint, stream?: number, exact?: boolean, state?: Uint8Array} & Record<string, any>} [settings]
   */
  generate({ prompt = "", length = 500, seed, stream = 0, exact = false, state, ...sampling } = {}) {
    need(typeof prompt === "string", `prompt is ${typeof prompt}: give a string`);
    const settings = samplingOf(sampling);
    const session = this.session(state ?? null);
    const how = { length: whole(length, "length"), seed: this.seed(seed), stream: whole(stream, "stream"), exact: Boolean(exact) };
    const notes = session.feed(prompt);
    const writing = new Generation(this, session._state, settings, how);
    return Object.assign(writing, { notes });
  }

  /**
   * How surprising each token, word or line of a text is, in nats.
   * @param {string} text
   * @param {"token" | "word" | "line"} [by]
   */
  score(text, by = "line") {
    need(typeof text === "string", `text is ${typeof text}: give a string`);
    need(["token", "word", "line"].includes(by), `by is ${by}: give token, word or line`);
    return scoresOf(this, text, by);
  }

  /**
   * The most probable next tokens after a text, the best first.
   * @param {string} prompt
   * @param {number} [k]
   */
  suggest(prompt, k = 10) {
    const session = this.session();
    session.feed(prompt);
    return session.suggest(k);
  }
}
