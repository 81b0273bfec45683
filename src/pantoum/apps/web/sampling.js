// How the next token is drawn: settings as `pantoum generate` has them, and the draw by the core.

import { need, number, whole } from "./errors.js";

const WINDOW = 64;
const RUNS = 1n << 63n;
const ALL_BITS = (1n << 64n) - 1n;
const DEFAULTS = {
  temperature: 0.9,
  top_k: null,
  top_p: null,
  min_p: 0.05,
  repetition_penalty: null,
  greedy: false,
  stop: /** @type {string[]} */ ([]),
};

/**
 * @typedef {object} Sampling
 * @property {number} temperature 0: the most probable token
 * @property {number} top_k 0: off
 * @property {number} top_p 1: off
 * @property {number} min_p 0: off
 * @property {number} penalty of the last 64 tokens; 1: off
 * @property {string[]} stop
 */

/**
 * Checked settings; those that pages do not have are refused by name.
 * @param {Record<string, any>} given
 * @returns {Sampling}
 */
export function samplingOf(given) {
  const asked = { ...DEFAULTS, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
  const strange = Object.keys(asked).filter((name) => !(name in DEFAULTS));
  need(!strange.length, `${strange.join(", ")}: pages know ${Object.keys(DEFAULTS).join(", ")}`);
  const stop = typeof asked.stop === "string" ? [asked.stop] : asked.stop;
  need(Array.isArray(stop) && stop.every((one) => typeof one === "string" && one), "stop must be texts that are not empty");
  const temperature = number(asked.temperature, "temperature", 0, 100);
  return {
    temperature: asked.greedy ? 0 : temperature,
    top_k: asked.top_k === null ? 0 : Math.min(whole(asked.top_k, "top_k", 1), 2 ** 31 - 1),
    top_p: asked.top_p === null ? 1 : number(asked.top_p, "top_p", Number.MIN_VALUE, 1),
    min_p: asked.min_p === null ? 0 : number(asked.min_p, "min_p", 0, 1),
    penalty: asked.repetition_penalty === null ? 1 : number(asked.repetition_penalty, "repetition_penalty", Number.MIN_VALUE, 100),
    stop,
  };
}

/** Draws the tokens of one text, from the logits that a program leaves. */
export class Draw {
  /**
   * @param {import("./program.js").Program} program
   * @param {Sampling} sampling
   * @param {{seed: number | bigint, stream: number, position: number, banned: number[], edges: import("./text/tokenizers.js").WordEdges | null}} from
   */
  constructor(program, sampling, { seed, stream, position, banned, edges }) {
    this._program = program;
    this._sampling = sampling;
    this._columns = { seed: BigInt(seed), stream: BigInt(stream), position: BigInt(position), written: 0n, nats: 0, last: 0 };
    this._recent = sampling.penalty === 1 ? null : new Int32Array(WINDOW).fill(-1);
    this._banned = banned;
    this._edges = edges && edges.begins.some((begins, token) => !begins && !banned.includes(token)) ? edges : null;
  }

  /** Words of a mask of tokens. */
  get _words() {
    return Math.ceil(this._program.shape.vocabSize / 32);
  }

  /** The nats of all tokens under the model itself. */
  get nats() {
    return this._columns.nats;
  }

  /** The number of the next draw within its stream. */
  get position() {
    return Number(this._columns.position);
  }

  /**
   * The token after one that was just read.
   * @param {number} before
   * @returns {number}
   */
  next(before) {
    if (!this._edges) return this._one();
    const { begins, ends, blank } = this._edges;
    const recent = this._recent?.slice();
    // Whether white space comes again is drawn without filters.
    const decides = blank[before] && this._sampling.temperature > 0;
    const { stream } = this._columns;
    const token = decides ? this._one({ top_p: 1, min_p: 0, top_k: 0 }, stream ^ RUNS) : this._one();
    if (decides ? token === before : !(ends[before] && begins[token])) return token;
    this._columns.position -= 1n;
    this._columns.written -= 1n;
    this._columns.nats += this._columns.last;
    if (recent) this._recent?.set(recent);
    return this._one({}, stream ^ ALL_BITS, (other) => (decides ? other !== before : !begins[other]));
  }

  /**
   * One draw from the logits, by this text's settings or others, from its stream or another, among all tokens or
   * some.
   * @param {Partial<Sampling>} [settings]
   * @param {bigint} [stream]
   * @param {((token: number) => boolean) | null} [among]
   */
  _one(settings = {}, stream = this._columns.stream, among = null) {
    const { core } = this._program;
    const place = this._room();
    const { temperature, top_p, min_p, penalty, top_k } = { ...this._sampling, ...settings };
    const { seed, position, written, nats } = this._columns;
    const at = (/** @type {string} */ name) => place + PLACES[name];
    const view = core.view();
    view.setFloat64(at("temperature"), temperature, true);
    view.setFloat64(at("top_p"), top_p, true);
    view.setFloat64(at("min_p"), min_p, true);
    view.setFloat64(at("penalty"), penalty, true);
    view.setInt32(at("top_k"), top_k, true);
    view.setBigUint64(at("seed"), seed, true);
    view.setBigUint64(at("stream"), stream, true);
    view.setBigUint64(at("position"), position, true);
    view.setBigInt64(at("written"), written, true);
    view.setFloat64(at("nats"), nats, true);
    if (this._recent) core.array("Int32Array", at("recent"), WINDOW).set(this._recent);
    if (among) this._allow(core.array("Uint32Array", at("allowed"), this._words), among);
    core.set("sample", this._program.sample, {
      recent: this._recent ? at("recent") : 0,
      allowed: among ? at("allowed") : 0,
    });
    core.run("sample", this._program.sample);
    const after = core.view();
    if (this._recent) this._recent.set(core.array("Int32Array", at("recent"), WINDOW));
    this._columns.position = after.getBigUint64(at("position"), true);
    this._columns.written = after.getBigInt64(at("written"), true);
    this._columns.nats = after.getFloat64(at("nats"), true);
    this._columns.last = after.getFloat64(at("log_probability"), true);
    return after.getInt32(at("tokens"), true);
  }

  /** The memory of a draw's columns; a program has one. */
  _room() {
    const program = this._program;
    if (!program.sample) {
      const { core } = program;
      const banned = core.put(Int32Array.from(this._banned));
      program.room = core.alloc(PLACES.allowed + 4 * this._words);
      const columns = Object.fromEntries(Object.entries(PLACES).map(([name, place]) => [name, program.room + place]));
      program.sample = core.structs("sample", {
        logits: program.logitsPlace,
        ...columns,
        banned,
        banned_count: this._banned.length,
        recent: 0,
        allowed: 0,
        words: this._words,
        first: 0,
        count: 1,
        vocabulary: program.shape.vocabSize,
        window: WINDOW,
      });
    }
    return program.room;
  }

  /**
   * The bits of the tokens that may be drawn.
   * @param {Uint32Array} words
   * @param {(token: number) => boolean} among
   */
  _allow(words, among) {
    words.fill(0);
    for (let token = 0; token < this._program.shape.vocabSize; token++) if (among(token)) words[token >> 5] |= 1 << (token & 31);
  }
}

/** Where the columns of a draw lie in its memory. */
/** @type {Record<string, number>} */
const PLACES = {};
for (const [place, name] of ["temperature", "top_p", "min_p", "penalty", "seed", "stream", "position", "written", "nats", "log_probability", "tokens", "top_k", "recent"].entries()) {
  PLACES[name] = 8 * place;
}
PLACES.allowed = PLACES.recent + 4 * WINDOW;
