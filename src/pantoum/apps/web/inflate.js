// What was compressed, as a stream of its bytes. No Blob is read on the way: WebKit refuses that in a worker of a page that
// was opened from a disk.

import { need } from "./errors.js";

const TOO_OLD = "this browser cannot unpack the model: update it; Chrome and Edge 91, Firefox 113 and Safari 16.4 can";

/**
 * @param {Uint8Array} data
 * @param {"gzip" | "deflate"} format
 * @returns {ReadableStream<Uint8Array<ArrayBuffer>>}
 */
export function inflated(data, format) {
  need(typeof DecompressionStream === "function", TOO_OLD);
  const { readable, writable } = new DecompressionStream(format);
  const writer = writable.getWriter();
  // Who reads hears of what is damaged.
  writer.write(/** @type {Uint8Array<ArrayBuffer>} */ (data)).catch(() => {});
  writer.close().catch(() => {});
  return readable;
}
