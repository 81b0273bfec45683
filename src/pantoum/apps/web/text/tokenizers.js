// The tokenizers of pantoum, from the specification in a model file: bytes, characters, words, byte pairs.

import { need } from "../errors.js";
import { ByteDecoding, SpacedDecoding, TextDecoding } from "./decoder.js";
import { BORDER, EOS, LETTERS, LONGEST, REPLACEMENT, SPACES, UNK, eosText, marked, signOf, utf8 } from "./signs.js";

const MOST = 1_000_000;
const MOST_BYTES = 32 << 20;
const FIRST_MERGE = 257;
const BYTES = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));

/**
 * @typedef {object} Tokenizer
 * @property {string} kind
 * @property {import("./signs.js").Documents} documents
 * @property {number} vocabSize
 * @property {number | null} unk the number of what is not in the vocabulary
 * @property {boolean} single whether each token is one character, or one byte
 * @property {"apart" | "before" | "between"} spaces where the space between two words is
 * @property {boolean} endsLines whether `<eos>` ends each line
 * @property {string} unit what a token is
 * @property {(text: string) => number[]} encode the numbers of a text whose borders are marked
 * @property {(text: string) => string[]} symbols its pieces that are encoded apart
 * @property {(pending?: Uint8Array) => import("./decoder.js").Decoder} decoder
 * @property {WordEdges | null} edges
 */
/** @typedef {{begins: boolean[], ends: boolean[], blank: boolean[]}} WordEdges of `words`: what a token begins and ends with */

/**
 * How many numbers a specification speaks of, before anything is made of it.
 * @param {any} spec
 * @returns {number}
 */
export function declaredSize(spec) {
  if (spec.kind === "bytes") return 257;
  if (spec.kind === "characters") return (typeof spec.characters === "string" ? [...spec.characters].length : refuse("has no characters")) + 2;
  if (spec.kind === "words" || spec.kind === "words:whitespace") return (Array.isArray(spec.pieces) ? spec.pieces.length : refuse("has no pieces")) + 2;
  if (spec.kind === "bpe" || spec.kind === "bpe:whitespace") return (Array.isArray(spec.merges) ? spec.merges.length : refuse("has no merges")) + FIRST_MERGE;
  return refuse(`is of kind ${String(spec.kind).slice(0, 40)}, which pages do not have`);
}

/**
 * The tokenizer that a specification describes.
 * @param {any} spec
 * @returns {Tokenizer}
 */
export function tokenizerOf(spec) {
  const documents = spec.documents ?? null;
  if (![null, "lines", "files", "blank-lines"].includes(documents)) refuse(`has documents ${String(documents).slice(0, 40)}`);
  const vocabSize = declaredSize(spec);
  const common = { kind: spec.kind, documents, vocabSize, unk: null, endsLines: false, edges: null };
  if (spec.kind === "bytes") return bytes(common);
  if (spec.kind === "characters") return characters(common, spec.characters);
  if (spec.kind === "bpe" || spec.kind === "bpe:whitespace") return bytePairs(common, spec);
  return words(common, spec.pieces);
}

/**
 * @param {string} what
 * @returns {never}
 */
function refuse(what) {
  need(false, `the tokenizer's spec ${what}; the file was made by something else, use another`);
  throw new Error();
}

/**
 * @param {any} common
 * @returns {Tokenizer}
 */
function bytes(common) {
  const sign = signOf(common.documents);
  const pieces = [utf8(eosText(common.documents)), ...BYTES];
  return {
    ...common,
    single: true,
    spaces: "apart",
    unit: "byte",
    encode: (text) => text.split(sign).flatMap((part, place) => [...(place ? [EOS] : []), ...Array.from(utf8(part), (byte) => byte + 1)]),
    symbols: (text) => Array.from(text),
    decoder: (pending) => new ByteDecoding(pieces, pending),
  };
}

/**
 * @param {any} common
 * @param {string} vocabulary
 * @returns {Tokenizer}
 */
function characters(common, vocabulary) {
  const sign = signOf(common.documents);
  const known = [...vocabulary];
  const numbers = new Map(known.map((character, place) => [character, place + 2]));
  if (numbers.size !== known.length || /\p{Cs}/u.test(vocabulary) || numbers.has(sign)) refuse("has characters that no text has, or one twice");
  numbers.set(sign, EOS);
  const pieces = [eosText(common.documents), REPLACEMENT, ...known];
  return {
    ...common,
    unk: UNK,
    single: true,
    spaces: "apart",
    unit: "character",
    encode: (text) => Array.from(text, (character) => numbers.get(character) ?? UNK),
    symbols: (text) => Array.from(text),
    decoder: (pending) => new TextDecoding(pieces, pending),
  };
}

const WORDS = new RegExp(` ?[${LETTERS}]{1,${LONGEST}}| ?[^${LETTERS}${SPACES}${BORDER}]|[${SPACES}${BORDER}]`, "gu");
const BETWEEN_SPACES = new RegExp(`\\n|[^${SPACES}]{1,${LONGEST}}`, "gu");
const LETTER = new RegExp(`^[${LETTERS}]`, "u");
const LAST_LETTER = new RegExp(`[${LETTERS}]$`, "u");
const BLANK = new RegExp(`^[${SPACES}]+$`, "u");

/**
 * @param {any} common
 * @param {any[]} list
 * @returns {Tokenizer}
 */
function words(common, list) {
  const spaced = common.kind === "words:whitespace";
  const sign = spaced ? "\n" : signOf(common.documents);
  const numbers = new Map(list.map((piece, place) => [piece, place + 2]));
  const fits = list.length <= MOST && list.every((piece) => typeof piece === "string" && piece) && numbers.size === list.length;
  if (!fits || numbers.has(sign) || list.some((piece) => /\p{Cs}/u.test(piece))) refuse("has pieces that are not a list of different texts");
  numbers.set(sign, EOS);
  const pattern = spaced ? BETWEEN_SPACES : WORDS;
  const eos = spaced ? "\n" : eosText(common.documents);
  const pieces = [eos, "<unk>", ...list];
  const known = [eos, "", ...list];
  const split = (/** @type {string} */ text) => text.match(pattern) ?? [];
  return {
    ...common,
    unk: UNK,
    single: false,
    spaces: spaced ? "between" : "before",
    endsLines: spaced,
    unit: "word",
    edges: spaced ? null : { begins: known.map((text) => LETTER.test(text)), ends: known.map((text) => LAST_LETTER.test(text)), blank: known.map((text, place) => place > 1 && BLANK.test(text)) },
    encode: (text) => split(text).map((piece) => numbers.get(piece) ?? UNK),
    symbols: (text) => {
      // White space between two pieces belongs to the first.
      const starts = Array.from(text.matchAll(pattern), (match) => match.index);
      return starts.map((start, place) => text.slice(place ? start : 0, starts[place + 1] ?? text.length));
    },
    decoder: (pending) => (spaced ? new SpacedDecoding(pieces, pending) : new TextDecoding(pieces, pending)),
  };
}

const APART =
  `[^${SPACES}\\p{Nd}\\x00-\\x1f!-\\/:-@\\[-\`\\{-\\xa9\\xab-\\xb4\\xb6-\\xb9\\xbb-\\xbf\\xd7\\xf7\\u2000-\\u2bff\\u2e00-\\u2e7f` +
  `\\u3000-\\u303f\\ud800-\\udfff\\ufe10-\\ufe6f\\uff00-\\uff0f]`;

/** @param {string} kind @param {string} sign */
function bytePairPattern(kind, sign) {
  const border = sign === "\n" ? "" : BORDER;
  const words = ` ?${APART}{1,${LONGEST}}|\\p{Nd}{1,3}| ?[^${LETTERS}${SPACES}${border}]{1,${LONGEST}}|_{1,${LONGEST}}`;
  const space = sign === "\n" ? `[${SPACES.replace("\\t-\\r", "\\t\\x0b-\\r")}]` : `[${SPACES}]`;
  return new RegExp(
    `${border || "\\n"}|${kind === "bpe" ? words : ` ?[^${SPACES}${border}]{1,${LONGEST}}`}` +
      `|${space}{1,${LONGEST}}(?![^${SPACES}${BORDER}])|${space}|.`,
    "gsu",
  );
}

/**
 * @param {any} common
 * @param {any} spec
 * @returns {Tokenizer}
 */
function bytePairs(common, { split, merges }) {
  if (split !== 1) refuse(`cuts text in a way ${String(split).slice(0, 40)} that is not known here`);
  if (merges.length > MOST - FIRST_MERGE) refuse("has too many merges");
  const sign = signOf(common.documents);
  const pieces = [utf8(eosText(common.documents)), ...BYTES];
  /** @type {Map<number, number>} */
  const ranks = new Map();
  const key = (/** @type {number} */ left, /** @type {number} */ right) => left * 2 ** 21 + right;
  let room = MOST_BYTES;
  merges.forEach((/** @type {any} */ pair, /** @type {number} */ place) => {
    const number = FIRST_MERGE + place;
    const fits = Array.isArray(pair) && pair.length === 2 && pair.every((one) => Number.isInteger(one) && one >= 1 && one < number);
    if (!fits || ranks.has(key(pair[0], pair[1]))) refuse("has a merge that is not a pair of earlier numbers, or one twice");
    ranks.set(key(pair[0], pair[1]), number);
    const [left, right] = [pieces[pair[0]], pieces[pair[1]]];
    room -= left.length + right.length;
    if (room < 0) refuse("has merges that stand for too many bytes");
    const both = new Uint8Array(left.length + right.length);
    both.set(left);
    both.set(right, left.length);
    pieces.push(both);
  });
  const pattern = bytePairPattern(common.kind, sign);
  const merge = (/** @type {string} */ piece) => {
    if (piece === sign) return [EOS];
    const ids = Array.from(utf8(piece), (byte) => byte + 1);
    for (;;) {
      let [best, at] = [Infinity, -1];
      for (let i = 0; i + 1 < ids.length; ++i) {
        const rank = ranks.get(key(ids[i], ids[i + 1])) ?? Infinity;
        if (rank < best) [best, at] = [rank, i];
      }
      if (at < 0) return ids;
      ids.splice(at, 2, best);
    }
  };
  const symbols = (/** @type {string} */ text) => text.match(pattern) ?? [];
  return {
    ...common,
    single: false,
    spaces: "before",
    unit: "token",
    encode: (text) => symbols(text).flatMap(merge),
    symbols,
    decoder: (pending) => new ByteDecoding(pieces, pending),
  };
}

/**
 * The numbers of a whole text.
 * @param {Tokenizer} tokenizer
 * @param {string} text
 */
export function encoded(tokenizer, text) {
  return tokenizer.encode(marked(text, tokenizer.documents));
}

/**
 * The text of some numbers.
 * @param {Tokenizer} tokenizer
 * @param {number[]} tokens
 */
export function decoded(tokenizer, tokens) {
  const decoder = tokenizer.decoder();
  return tokens.map((token) => decoder.push(token)).join("") + decoder.finish();
}
