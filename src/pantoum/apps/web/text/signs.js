// What the tokenizers have in common: borders of documents, white space and letters as Python knows them, UTF-8.

/** The one character that stands for a border of documents, where it is no newline. No text has it. */
export const BORDER = "\udfff";
export const REPLACEMENT = "\ufffd";
export const EOS = 0;
export const UNK = 1;
export const LONGEST = 65536;

/** @typedef {null | "lines" | "files" | "blank-lines"} Documents */

/** White space as Python's `\s` has it, and letters as its `\w`, for a class of a regular expression. */
export const SPACES = "\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
export const LETTERS = "\\p{L}\\p{N}_";

const BLANK_LINES = /\r?\n(?:[ \t]{0,4096}\r?\n)+/g;

/**
 * The sign of a border.
 * @param {Documents} documents
 */
export function signOf(documents) {
  return documents === "lines" ? "\n" : BORDER;
}

/**
 * What a border reads as.
 * @param {Documents} documents
 */
export function eosText(documents) {
  return documents === "lines" ? "\n" : documents === "blank-lines" ? "\n\n" : "";
}

/**
 * A text with its borders as signs; lone surrogates, which are no characters, as U+FFFD.
 * @param {string} text
 * @param {Documents} documents
 */
export function marked(text, documents) {
  return documents === "blank-lines" ? wellFormed(text).replace(BLANK_LINES, BORDER) : wellFormed(text);
}

/** @param {string} text */
export function wellFormed(text) {
  return text.replace(/\p{Cs}/gu, REPLACEMENT);
}

/** @param {string} text */
export function utf8(text) {
  return new TextEncoder().encode(text);
}

/** @param {Uint8Array} bytes */
export function fromUtf8(bytes) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/**
 * How many bytes at the end begin a character that is not whole yet.
 * @param {Uint8Array} bytes
 */
export function unfinished(bytes) {
  const end = bytes.length;
  for (let size = 1; size <= Math.min(3, end); ++size) {
    const first = bytes[end - size];
    if (first < 0x80) return 0;
    if (first < 0xc0) continue;
    const whole = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size >= whole) return 0;
    if (size === 1) return 1;
    const second = bytes[end - size + 1];
    const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    return second >= least && second <= most ? size : 0;
  }
  return 0;
}
