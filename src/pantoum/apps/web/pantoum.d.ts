/** The library of pantoum for browsers and Node: what a model writes here is what `pantoum generate` writes, and a model
 * that is trained here is the file of `pantoum train`. */

/** A mistake of the caller, or a file that cannot be used; its message is a sentence for a person. */
export class PantoumError extends Error {
  constructor(message: string);
}

/** Settings of the draw, with the names and defaults of `pantoum generate`. */
export interface Sampling {
  /** 0.9; 0: the most probable token. */
  temperature?: number;
  top_k?: number | null;
  top_p?: number | null;
  /** 0.05 */
  min_p?: number | null;
  /** On the last 64 tokens. */
  repetition_penalty?: number | null;
  greedy?: boolean;
  stop?: string | string[];
}

export interface Settings extends Sampling {
  prompt?: string;
  /** Tokens at most; 500. */
  length?: number;
  seed?: number | bigint;
  /** Of several texts of one seed, the number of this one; 0. */
  stream?: number;
  /** Whether exactly `length` tokens are written, even if that ends within a word. */
  exact?: boolean;
  /** Begins after this state, the bytes of Python's `State`. */
  state?: Uint8Array;
}

/** Some characters, never a part of one, and what they cost the model. */
export interface Piece {
  text: string;
  nats: number;
}

/** A text as it is written: iterate for its pieces. */
export interface Writing extends Iterable<Piece> {
  readonly text: string;
  readonly tokens: number;
  readonly nats: number;
  readonly stopped: "stop" | "eos" | null;
  readonly seed: bigint;
  /** What the model does not know of the prompt. */
  readonly notes: string[];
}

export interface Score {
  text: string;
  nats: number;
  tokens: number;
  /** The nats of its most surprising token. */
  peak: number;
}

export interface Suggestion {
  text: string;
  token: number;
  probability: number;
}

/** A stream of text with a model; `model.session()` makes one. */
export class Session {
  private constructor();
  /** Where it stands: the bytes of Python's `State`, so that a session goes on there and back. */
  readonly state: Uint8Array;
  readonly tokensSeen: number;
  feed(text: string): string[];
  generate(settings?: Sampling & { length?: number; seed?: number | bigint }): Generator<Piece, string>;
  suggest(k?: number): Suggestion[];
  /** The most probable beginnings of what comes next, each to the end of a word. */
  words(k?: number): { text: string; probability: number }[];
  fork(): Session;
  rewind(state: Uint8Array): void;
}

/** A trained model, which `load` makes; it never changes. */
export class Model {
  private constructor();
  readonly card: Record<string, unknown>;
  readonly config: Record<string, unknown>;
  readonly sha256: string;
  readonly documents: null | "lines" | "files" | "blank-lines";
  generate(settings?: Settings): Writing;
  score(text: string, by?: "token" | "word" | "line"): Score[];
  suggest(prompt: string, k?: number): Suggestion[];
  session(state?: Uint8Array | null): Session;
}

/** Whether a multiply-add is fused here, so that `pantoum-fused.wasm` can run; it computes what `pantoum.wasm` computes,
 * several times faster in float32. */
export function fuses(): boolean;

/** A model from the bytes of its file; `module`: the bytes of `pantoum.wasm`, or of `pantoum-fused.wasm` where `fuses()`.
 * By default the better one of those that lie beside the library. */
export function load(model: ArrayBuffer | Uint8Array, options?: { module?: BufferSource }): Promise<Model>;

/** What a training run is asked for; the rest is what `pantoum train` chooses. */
export interface TrainSettings {
  /** The name of the text's file, which the card of the model tells; text.txt. */
  name?: string;
  /** What a token is; null, the default: a character, or a byte where there are more than 510 different characters. */
  kind?: "characters" | "bytes" | null;
  /** 1000 */
  steps?: number;
  /** Units of each layer; 128, or those of `from`. */
  units?: number;
  /** Layers of GRU; 2, or those of `from`. */
  layers?: number;
  seed?: number | bigint;
  /** The file of a model to begin from: a GRU of characters, whose vocabulary grows, or of bytes. */
  from?: ArrayBuffer | Uint8Array;
  /** What the command calls it; base.safetensors. */
  fromName?: string;
}

/** A training run of `pantoum train --valid-fraction 0`, step by step; `train` makes one. */
export class Training {
  private constructor();
  readonly steps: number;
  readonly step: number;
  /** Tokens trained on. */
  readonly tokens: number;
  readonly parameters: number;
  readonly kind: "characters" | "bytes";
  readonly notes: string[];
  readonly curve: { step: number; tokens: number; loss: number | null }[];
  readonly finished: boolean;
  /** The command that makes the same file. */
  readonly command: string;
  /** One step; the mean loss of its batch in nats per token, before the update. */
  next(): number;
  /** The model as it is now, the bytes of model.safetensors. */
  file(): Uint8Array;
}

/** A training run on the bytes of a text, at its start. */
export function train(text: ArrayBuffer | Uint8Array, settings?: TrainSettings, options?: { module?: BufferSource }): Promise<Training>;
