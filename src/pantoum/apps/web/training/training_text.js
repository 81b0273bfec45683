// A text as tokens, and what the card of a model tells of it: data/prepare.py, text/character.py, text/byte.py.

import { need } from "../errors.js";
import { hex, sha256 } from "../sha256.js";
import { declaredSize } from "../text/tokenizers.js";

const CODE_POINTS = 0x110000;
const MOST_BYTES = 32 << 20;
/** Symbols up to which the recipe is that of characters; more are read as bytes. */
const MOST_SYMBOLS = 512;
const MARK = [0xef, 0xbb, 0xbf];
const HEAD = 1 << 16;
const MARKUP = /\.x?html?$/i;
/** How documents and archives begin, of which `pantoum train` takes the text, or which it refuses. */
const PACKED = /^(?:%PDF-|\{\\rtf|PK\x03\x04|Rar!\x1a\x07|\x04"M\x18)/;

/** @typedef {{name: string, size: number, sha256: string, tokens: Uint16Array, spec: Record<string, any>, symbols: number, notes: string[], added: number}} TrainingText */

/**
 * A text of characters, or of bytes where it has too many different ones; or of what a base reads, with characters added that it lacks.
 * @param {Uint8Array} bytes of the file
 * @param {string} name of the file
 * @param {"characters" | "bytes" | null} [kind]
 * @param {Record<string, any> | null} [base] the tokenizer of the base
 * @returns {TrainingText}
 */
export function trainingText(bytes, name, kind = null, base = null) {
  need(bytes.length, "the text is empty: give a text to learn from");
  need(bytes.length <= MOST_BYTES, `the text has ${megabytes(bytes.length)} MB: the page takes at most ${megabytes(MOST_BYTES)}; give a part of it, or train with pantoum itself`);
  /** @type {string[]} */
  const notes = [];
  const facts = { name, size: bytes.length, sha256: hex(sha256(bytes)), notes };
  const marked = MARK.every((byte, place) => bytes[place] === byte);
  if (marked) notes.push("The text begins with a byte-order mark; it is left out.");
  const body = marked ? bytes.subarray(MARK.length) : bytes;
  const text = kind === "bytes" && !base ? "" : plainText(body, name, base ? "begin from nothing and choose bytes" : "choose bytes");
  const found = (base?.kind ?? kind) === "bytes" ? ofBytes(body) : (ofCharacters(text, base?.kind ?? kind, base?.characters ?? "") ?? ofBytes(body));
  const added = base ? found.symbols - declaredSize(base) : 0;
  if (added) notes.push(`${added} symbols of the text are new to the base: they begin as the mean of the others.`);
  if (!base && kind === null && found.spec.kind === "bytes") notes.push(`The text has more than ${MOST_SYMBOLS - 2} different characters: it is read as bytes.`);
  need(found.tokens.length >= 2, "the text is too short: it must have at least 2 characters, one to read and one to predict; give a longer one");
  return { ...facts, ...found, added };
}

/** @param {Uint8Array} body */
function ofBytes(body) {
  return { tokens: Uint16Array.from(body, (byte) => byte + 1), spec: { kind: "bytes", documents: null }, symbols: 257 };
}

/**
 * Those that are known, then the most frequent character first, of equally frequent ones the lower code point; null: there are too many.
 * @param {string} text
 * @param {string | null} kind
 * @param {string} known
 */
function ofCharacters(text, kind, known) {
  const counts = new Int32Array(CODE_POINTS);
  let length = 0;
  for (let at = 0; at < text.length; ++length) {
    const point = /** @type {number} */ (text.codePointAt(at));
    ++counts[point];
    at += point > 0xffff ? 2 : 1;
  }
  const first = Array.from(known, (sign) => /** @type {number} */ (sign.codePointAt(0)));
  for (const point of first) counts[point] = 0;
  const others = [];
  for (let point = 0; point < CODE_POINTS; ++point) if (counts[point]) others.push(point);
  others.sort((a, b) => counts[b] - counts[a] || a - b);
  const points = [...first, ...others];
  const symbols = points.length + 2;
  if (symbols > MOST_SYMBOLS) {
    const [where, advice] = known ? ["the text and the base have", "begin from nothing"] : ["the text has", "choose bytes"];
    need(kind === null, `${where} ${points.length} different characters: the page takes at most ${MOST_SYMBOLS - 2}; ${advice}`);
    return null;
  }
  const numbers = new Uint16Array(CODE_POINTS);
  points.forEach((point, place) => (numbers[point] = place + 2));
  const tokens = new Uint16Array(length);
  for (let at = 0, place = 0; at < text.length; ++place) {
    const point = /** @type {number} */ (text.codePointAt(at));
    tokens[place] = numbers[point];
    at += point > 0xffff ? 2 : 1;
  }
  const characters = points.map((point) => String.fromCodePoint(point)).join("");
  return { tokens, spec: { kind: "characters", documents: null, characters }, symbols };
}

/**
 * The text of a file that is read as it stands.
 * @param {Uint8Array} body
 * @param {string} name
 * @param {string} advice
 */
function plainText(body, name, advice) {
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    need(false, `the text is not UTF-8: save it as UTF-8, or ${advice}`);
  }
  need(!text.includes("\0") && !PACKED.test(text), `this is not a plain text: save it as .txt first, or ${advice}`);
  need(!MARKUP.test(name) || !body.subarray(0, HEAD).includes(60), "this is a page of HTML: save its text as .txt first; to learn the markup itself, give the file another ending");
  return text;
}

/** @param {number} bytes */
function megabytes(bytes) {
  return Math.ceil(bytes / 2 ** 20);
}
