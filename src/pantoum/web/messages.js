// What both workers say and hear: compressed bytes, and errors as sentences.

import { PantoumError, need } from "./errors.js";

const TOO_OLD = "this browser cannot unpack the model: update it; Chrome and Edge 91, Firefox 113 and Safari 16.4 can";

/**
 * What was compressed by gzip, as a page holds it.
 * @param {Uint8Array<ArrayBuffer>} data
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function expanded(data) {
  if (data[0] !== 0x1f || data[1] !== 0x8b) return data;
  need(typeof DecompressionStream === "function", TOO_OLD);
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {unknown} error */
export function told(error) {
  if (error instanceof PantoumError) return error.message;
  if (error instanceof RangeError) return "there is not enough memory for this model: close other tabs, or use a smaller model";
  return `the model failed: ${error instanceof Error ? error.message : error}`;
}
