// The library: load(model) gives a Model. In Node and in browsers, without a build.

import { Core } from "./core.js";
import { Model } from "./model.js";

export { Core } from "./core.js";
export { PantoumError } from "./errors.js";
export { Model } from "./model.js";
export { Session } from "./session.js";

const MODULE = new URL("pantoum.wasm", import.meta.url);

/**
 * A model from the bytes of its file. `module`: the bytes of pantoum.wasm, which lies beside this file otherwise.
 * @param {ArrayBuffer | Uint8Array} model
 * @param {{module?: BufferSource}} [options]
 * @returns {Promise<Model>}
 */
export async function load(model, { module } = {}) {
  const core = await Core.load(module ?? (await beside()));
  // Node's Buffer is a Uint8Array with other methods.
  return Model.load(core, ArrayBuffer.isView(model) ? new Uint8Array(model.buffer, model.byteOffset, model.byteLength) : new Uint8Array(model));
}

/** @returns {Promise<BufferSource>} */
async function beside() {
  if (MODULE.protocol !== "file:") return (await fetch(MODULE)).arrayBuffer();
  const { readFile } = await import("node:fs/promises");
  return readFile(MODULE);
}
