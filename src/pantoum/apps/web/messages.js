// What both workers say and hear: compressed bytes, and errors as sentences.

import { PantoumError } from "./errors.js";
import { inflated } from "./inflate.js";

/**
 * What was compressed by gzip, as a page holds it.
 * @param {Uint8Array<ArrayBuffer>} data
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function expanded(data) {
  if (data[0] !== 0x1f || data[1] !== 0x8b) return data;
  return new Uint8Array(await new Response(inflated(data, "gzip")).arrayBuffer());
}

/** @param {unknown} error */
export function told(error) {
  if (error instanceof PantoumError) return error.message;
  if (error instanceof RangeError) return "there is not enough memory for this model: close other tabs, or use a smaller model";
  return `the model failed: ${error instanceof Error ? error.message : error}`;
}
