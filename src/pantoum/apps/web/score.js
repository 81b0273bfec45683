// The nats of a text by token, word or line: inference/scorer.py. The first token is scored as what follows a newline.

import { SPACES, UNK, marked } from "./text/signs.js";

const BLANK = new RegExp(`^[${SPACES}]*$`, "u");
const SPACE_FIRST = new RegExp(`^[${SPACES}]`, "u");
const SPACE_LAST = new RegExp(`(?:^|[${SPACES}])$`, "u");

/** @typedef {{text: string, nats: number, tokens: number, peak: number}} Score */

/**
 * @param {import("./model.js").Model} model
 * @param {string} text
 * @param {"token" | "word" | "line"} by
 * @returns {Score[]}
 */
export function scoresOf(model, text, by) {
  const pieces = piecesOf(model, text);
  if (by === "token" || by === model.tokenizer.unit) return pieces;
  const starts = by === "line" ? lineStarts(pieces) : wordStarts(pieces);
  const edges = [...new Set([0, ...starts])].filter((start) => start < pieces.length);
  return edges.map((begin, place) => {
    const own = pieces.slice(begin, edges[place + 1]);
    return {
      text: own.map((piece) => piece.text).join(""),
      nats: own[0].nats + pairwise(own.slice(1).map((piece) => piece.nats)),
      tokens: own.reduce((sum, piece) => sum + piece.tokens, 0),
      peak: Math.max(...own.map((piece) => piece.peak)),
    };
  });
}

/**
 * The text of each token with its nats; tokens that make one character together are one piece.
 * @param {import("./model.js").Model} model
 * @param {string} text
 */
function piecesOf({ tokenizer, program, border, eos }, text) {
  const read = marked(text, tokenizer.documents);
  const tokens = tokenizer.encode(read);
  const symbols = tokenizer.unk === null ? [] : tokenizer.symbols(read);
  const state = program.zeros();
  const decoder = tokenizer.decoder();
  /** @type {Score[]} */
  const pieces = [];
  let last = border;
  let [waiting, nats] = [0, 0];
  const push = (/** @type {string} */ shown) => {
    pieces.push({ text: shown, nats, tokens: waiting, peak: nats });
    [waiting, nats] = [0, 0];
  };
  tokens.forEach((token, place) => {
    if (last === eos) for (const array of state) array.fill(0);
    const cost = program.score(state, last, token);
    nats = waiting ? nats + cost : cost;
    waiting += 1;
    last = token;
    let shown = decoder.push(token);
    // An unknown symbol is shown as the text has it.
    if (token === UNK && tokenizer.unk === UNK) {
      const symbol = tokenizer.endsLines ? symbols[place].trim() : symbols[place];
      shown = shown.replace(tokenizer.kind === "characters" ? "\ufffd" : "<unk>", () => symbol);
    }
    if (shown || !decoder.pending.length) push(shown);
  });
  const rest = decoder.finish();
  if (waiting || rest) push(rest);
  return pieces;
}

/** @param {Score[]} pieces */
function lineStarts(pieces) {
  return pieces.flatMap(({ text }, place) => (text.includes("\n") ? [place + 1] : []));
}

/**
 * A word begins where white space does, or after it, once the word before has something visible.
 * @param {Score[]} pieces
 */
function wordStarts(pieces) {
  /** @type {number[]} */
  const starts = [];
  let [visible, after] = [false, false];
  pieces.forEach(({ text }, place) => {
    if ((SPACE_FIRST.test(text) || after) && visible) {
      starts.push(place);
      visible = false;
    }
    visible ||= !BLANK.test(text);
    after = SPACE_LAST.test(text);
  });
  return starts;
}

/**
 * A sum in the order in which NumPy adds, so that scores have the bits of Python's.
 * @param {number[]} values
 * @returns {number}
 */
function pairwise(values) {
  const size = values.length;
  if (size < 8) return values.reduce((sum, value) => sum + value, 0);
  if (size > 128) {
    const half = Math.floor(size / 2);
    const left = half - (half % 8);
    return pairwise(values.slice(0, left)) + pairwise(values.slice(left));
  }
  const [a, b, c, d, e, f, g, h] = Array.from({ length: 8 }, (_, lane) => {
    let sum = values[lane];
    for (let i = lane + 8; i < size - (size % 8); i += 8) sum += values[i];
    return sum;
  });
  let sum = a + b + (c + d) + (e + f + (g + h));
  for (let i = size - (size % 8); i < size; ++i) sum += values[i];
  return sum;
}
