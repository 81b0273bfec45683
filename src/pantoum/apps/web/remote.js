// The model of a worker, for the page: the same calls, each a promise.

import { PantoumError } from "./errors.js";

/** @typedef {import("./generation.js").Piece} Piece */
/** @typedef {{resolve: (value: any) => void, reject: (error: Error) => void, onPieces?: (pieces: Piece[]) => void}} Waiting */

/** Calls that a worker answers. */
export class Calls {
  /** @param {Worker} worker */
  constructor(worker) {
    this._worker = worker;
    /** @type {Map<number, Waiting>} */
    this._waiting = new Map();
    this._made = 0;
    worker.onmessage = ({ data: { id, value, error, pieces } }) => {
      const one = this._waiting.get(id);
      if (!one) return;
      if (pieces) return one.onPieces?.(pieces);
      this._waiting.delete(id);
      if (error === undefined) one.resolve(value);
      else one.reject(new PantoumError(error));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      for (const one of this._waiting.values()) one.reject(new PantoumError(`the model stopped: ${event.message || "its worker could not begin"}; load the page again`));
      this._waiting.clear();
    };
  }

  /** Ends the worker; nobody waits for it any longer. */
  end() {
    this._worker.terminate();
  }

  /**
   * @param {string} call
   * @param {any[]} given
   * @param {{onPieces?: (pieces: any) => void, signal?: AbortSignal, transfer?: Transferable[]}} [options]
   * @returns {Promise<any>}
   */
  ask(call, given, { onPieces, signal, transfer = [] } = {}) {
    const id = ++this._made;
    return new Promise((resolve, reject) => {
      this._waiting.set(id, { resolve, reject, onPieces });
      signal?.addEventListener("abort", () => this._worker.postMessage({ id: ++this._made, call: "stop", given: [id] }));
      this._worker.postMessage({ id, call, given }, transfer);
    });
  }
}

/** A model that lives in a worker. */
export class RemoteModel {
  /**
   * @param {Worker} worker
   * @param {Uint8Array} module the bytes of pantoum.wasm, or of pantoum-fused.wasm where `fuses()`, or these compressed by gzip
   * @param {Uint8Array} model the bytes of a model file, or these compressed by gzip
   */
  static async load(worker, module, model) {
    const calls = new Calls(worker);
    const facts = await calls.ask("load", [module, model], { transfer: [module.buffer, model.buffer] });
    return new RemoteModel(calls, facts);
  }

  /**
   * @param {Calls} calls
   * @param {any} facts
   */
  constructor(calls, facts) {
    this._calls = calls;
    this.card = facts.card;
    this.config = facts.config;
    this.sha256 = facts.sha256;
    this.documents = facts.documents;
    /** Whether a word brings the space before it. @type {boolean} */
    this.bringsSpace = facts.bringsSpace;
  }

  /**
   * The continuation of a prompt.
   * @param {Record<string, any>} [settings]
   * @returns {Promise<string>}
   */
  async generate(settings = {}) {
    return (await this.write(settings)).text;
  }

  /**
   * The same with all that is known of it; `onPieces` gets it as it is written, and `signal` ends it.
   * @param {Record<string, any>} [settings]
   * @param {{onPieces?: (pieces: Piece[]) => void, signal?: AbortSignal}} [options]
   * @returns {Promise<{text: string, tokens: number, nats: number, stopped: "stop" | "eos" | null, seed: bigint, notes: string[]}>}
   */
  write(settings = {}, options = {}) {
    return this._calls.ask("generate", [settings], options);
  }

  /**
   * @param {string} text
   * @param {"token" | "word" | "line"} [by]
   */
  score(text, by = "line") {
    return this._calls.ask("score", [text, by]);
  }

  /**
   * @param {string} prompt
   * @param {number} [k]
   */
  suggest(prompt, k = 10) {
    return this._calls.ask("suggest", [prompt, k]);
  }

  /**
   * The most probable words that may follow a text, or begin where it ends.
   * @param {string} prompt
   * @param {number} [k]
   */
  words(prompt, k = 8) {
    return this._calls.ask("words", [prompt, k]);
  }

  /** @param {Uint8Array | null} [state] */
  session(state = null) {
    return new RemoteSession(this._calls, this._calls.ask("session", [state]));
  }
}

/** A session that lives in a worker. Its calls are done in their order. */
class RemoteSession {
  /**
   * @param {Calls} calls
   * @param {Promise<number>} number
   */
  constructor(calls, number) {
    this._calls = calls;
    this._number = number;
    /** @type {Promise<unknown>} */
    this._last = number;
  }

  /**
   * @param {string} call
   * @param {...any} given
   * @returns {Promise<any>}
   */
  _ask(call, ...given) {
    const asked = this._last.catch(() => {}).then(async () => this._calls.ask(call, [await this._number, ...given]));
    this._last = asked;
    return asked;
  }

  /** @param {string} text */
  feed(text) {
    return this._ask("feed", text);
  }

  /** The bytes of its state. @returns {Promise<Uint8Array>} */
  get state() {
    return this._ask("state");
  }

  /** @param {Uint8Array} state */
  rewind(state) {
    return this._ask("rewind", state);
  }

  /** @param {number} [k] */
  suggest(k = 10) {
    return this._ask("suggestions", k);
  }

  /** @param {Record<string, any>} [settings] */
  async generate(settings = {}) {
    const written = this._last.catch(() => {}).then(async () => this._calls.ask("generate", [settings, await this._number]));
    this._last = written;
    return (await written).text;
  }

  fork() {
    return new RemoteSession(this._calls, this._ask("fork"));
  }

  close() {
    return this._ask("close");
  }
}
