// The library: load(model) gives a Model, train(text) a Training that makes one. In Node and in browsers, without a build.

import { Core } from "./core.js";
import { fuses } from "./fused.js";
import { Model } from "./model.js";
import { baseOf } from "./training/base.js";
import { Training } from "./training/training.js";

export { PantoumError } from "./errors.js";
export { fuses } from "./fused.js";
export { Model } from "./model.js";
export { Session } from "./session.js";
export { Training } from "./training/training.js";

const [PLAIN, FUSED] = [new URL("pantoum.wasm", import.meta.url), new URL("pantoum-fused.wasm", import.meta.url)];

/**
 * A model from the bytes of its file. `module`: the bytes of pantoum.wasm, or of pantoum-fused.wasm where `fuses()`; by default the
 * better one of those beside this file.
 * @param {ArrayBuffer | Uint8Array} model
 * @param {{module?: BufferSource}} [options]
 * @returns {Promise<Model>}
 */
export async function load(model, { module } = {}) {
  return Model.load(await Core.load(module ?? (await beside())), plain(model));
}

/**
 * A training run on the bytes of a text, at its start: `next` makes a step, `file` gives the model. `from`: the bytes of a model
 * to begin from, which the command calls `fromName`.
 * @param {ArrayBuffer | Uint8Array} text
 * @param {import("./training/training.js").TrainSettings & {from?: ArrayBuffer | Uint8Array, fromName?: string}} [settings]
 * @param {{module?: BufferSource}} [options]
 * @returns {Promise<Training>}
 */
export async function train(text, { from, fromName = "base.safetensors", ...settings } = {}, { module } = {}) {
  const base = from ? await baseOf(plain(from), fromName) : null;
  return new Training(await Core.load(module ?? (await beside())), plain(text), { ...settings, base });
}

/**
 * Node's Buffer is a Uint8Array with other methods.
 * @param {ArrayBuffer | Uint8Array} bytes
 */
function plain(bytes) {
  return ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
}

/** @returns {Promise<BufferSource>} */
async function beside() {
  const module = fuses() ? FUSED : PLAIN;
  if (module.protocol !== "file:") return (await fetch(module)).arrayBuffer();
  const { readFile } = await import("node:fs/promises");
  return readFile(module);
}
