// A prompt brought near to what a model knows: text/prompt.py. What stays unknown is told in notes.

import { BORDER, UNK, marked, signOf, wellFormed } from "./signs.js";

const NAMED = 8;
/** @type {Map<string, string>} */
const PLAIN = new Map();
for (const [signs, plain] of [
  ["‘’‚‛′`´ʼ‹›", "'"],
  ["“”„‟″«»", '"'],
  ["‐‑‒–—―−", "-"],
  ["\r\ufeff\u200b\u200d\u00ad", ""],
  ["\u2028\u2029", "\n"],
]) for (const sign of signs) PLAIN.set(sign, plain);
for (const pair of "… ...|• *|· .|× x|⁄ /|¿ ?|¡ !|ß ss|ẞ SS|æ ae|Æ AE|œ oe|Œ OE|ø o|Ø O|đ d|Đ D|ð d|Ð D|þ th|Þ Th|ł l|Ł L|ı i|ħ h|Ħ H".split("|")) {
  const [sign, plain] = pair.split(" ");
  PLAIN.set(sign, plain);
}
PLAIN.set("\t", " ");

/** @typedef {import("./tokenizers.js").Tokenizer} Tokenizer */

/**
 * The text to encode after one that left `pending`, and what is pending after it; null: what its tokens leave.
 * @param {Tokenizer} tokenizer
 * @param {string} text
 * @param {Uint8Array} pending
 * @returns {[string, Uint8Array | null]}
 */
export function spaceHeld(tokenizer, text, pending) {
  if (tokenizer.spaces === "before") {
    const whole = pending.length === 1 && pending[0] === 32 ? ` ${text}` : text;
    return whole.endsWith(" ") ? [whole.slice(0, -1), Uint8Array.of(32)] : [whole, null];
  }
  return [text, tokenizer.spaces === "between" && text.endsWith(" ") ? new Uint8Array() : null];
}

/**
 * The numbers of a prompt, and notes on what was replaced and what stays unknown.
 * @param {Tokenizer} tokenizer
 * @param {string} text
 * @returns {{tokens: number[], notes: string[]}}
 */
export function encodePrompt(tokenizer, text) {
  const notes = wellFormed(text) === text ? [] : ["lone surrogates are not characters: each was replaced by U+FFFD"];
  const read = marked(text, tokenizer.documents);
  const tokens = tokenizer.encode(read);
  if (tokenizer.unk === null || !lacks(tokenizer, read)) return { tokens, notes };
  const symbols = tokenizer.symbols(read);
  /** @type {Map<string, string>} */
  const folded = new Map();
  const unknown = [];
  for (const symbol of new Set(symbols)) {
    if (symbol === signOf(tokenizer.documents) || !lacks(tokenizer, symbol)) continue;
    const form = near(symbol).find((one) => !lacks(tokenizer, one));
    if (form === undefined) unknown.push(symbol);
    else folded.set(symbol, form);
  }
  if (folded.size) notes.push(`not in the model's vocabulary, read as the nearest: ${named([...folded].map(([symbol, form]) => `${quoted(symbol)} as ${quoted(form)}`))}`);
  if (unknown.length) notes.push(`not in the model's vocabulary, read as unknown: ${named(unknown.map(quoted))}`);
  return { tokens: tokenizer.encode(symbols.map((symbol) => folded.get(symbol) ?? symbol).join("")), notes };
}

/**
 * Whether the vocabulary lacks something of a text. The `<unk>` of a pre-tokenised text is a word of it.
 * @param {Tokenizer} tokenizer
 * @param {string} text
 */
function lacks(tokenizer, text) {
  const found = tokenizer.encode(text).filter((token) => token === UNK).length;
  return found > (tokenizer.endsLines && found ? tokenizer.symbols(text).filter((symbol) => symbol.trim() === "<unk>").length : 0);
}

/** @param {string} symbol */
function near(symbol) {
  const usual = symbol.normalize("NFKC");
  const bare = Array.from(symbol.normalize("NFKD")).filter((sign) => !combines(sign)).join("");
  const plainest = plain(bare);
  return [plain(symbol), usual, plain(usual), bare, plainest, plainest.replaceAll('"', "'")];
}

/** @param {string} text */
function plain(text) {
  return Array.from(text, (sign) => PLAIN.get(sign) ?? sign).join("");
}

/**
 * Whether a character is put on the one before it: whether it takes its place before one of the last class there is.
 * @param {string} sign
 */
function combines(sign) {
  return sign === "\u0345" || `\u0345${sign}`.normalize("NFD")[0] !== "\u0345";
}

/** @param {string} symbol */
function quoted(symbol) {
  return JSON.stringify(symbol === BORDER ? "" : symbol.trimEnd() || symbol);
}

/** @param {string[]} symbols */
function named(symbols) {
  const more = symbols.length > NAMED ? ` and ${symbols.length - NAMED} more` : "";
  return symbols.slice(0, NAMED).join(", ") + more;
}
