/** A model that lives in a worker, so that a page never waits for it: the calls of `Model`, each a promise. */

import type { Piece, Sampling, Score, Settings, Suggestion } from "./pantoum.js";

/** What is known of a text when it ends. */
export interface Written {
  text: string;
  tokens: number;
  nats: number;
  stopped: "stop" | "eos" | null;
  seed: bigint;
  /** What the model does not know of the prompt. */
  notes: string[];
}

/** A session that lives in the worker; its calls are done in their order. */
export interface RemoteSession {
  readonly state: Promise<Uint8Array>;
  feed(text: string): Promise<string[]>;
  generate(settings?: Sampling & { length?: number; seed?: number | bigint }): Promise<string>;
  suggest(k?: number): Promise<Suggestion[]>;
  rewind(state: Uint8Array): Promise<void>;
  fork(): RemoteSession;
  close(): Promise<void>;
}

export class RemoteModel {
  private constructor();
  readonly card: Record<string, unknown>;
  readonly config: Record<string, unknown>;
  readonly sha256: string;
  readonly documents: null | "lines" | "files" | "blank-lines";
  /** The worker is one of `pantoum/worker.js`; both files may be compressed by gzip. Their bytes go to the worker. */
  static load(worker: Worker, module: Uint8Array, model: Uint8Array): Promise<RemoteModel>;
  generate(settings?: Settings): Promise<string>;
  /** The same with all that is known of it; `onPieces` gets it as it is written, `signal` ends it. */
  write(settings?: Settings, options?: { onPieces?: (pieces: Piece[]) => void; signal?: AbortSignal }): Promise<Written>;
  score(text: string, by?: "token" | "word" | "line"): Promise<Score[]>;
  suggest(prompt: string, k?: number): Promise<Suggestion[]>;
  words(prompt: string, k?: number): Promise<{ text: string; probability: number }[]>;
  session(state?: Uint8Array | null): RemoteSession;
}
