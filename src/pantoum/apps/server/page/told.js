// The line below the text: the surprisal of what was read, and of the token before the cursor.

const totals = new WeakMap(); // of pieces: they are summed once

function total({ pieces }) {
  if (!totals.has(pieces)) {
    const nats = pieces.map(([, value]) => value).filter((value) => value !== null);
    totals.set(pieces, [nats.reduce((sum, value) => sum + value, 0), nats.length]);
  }
  return totals.get(pieces);
}

// `words`: whether the model's tokens are words.
export function figures(blocks, cursor, words) {
  const read = blocks.filter(({ fresh }) => fresh);
  const [sum, count] = read.map(total).reduce(([sum, count], [more, tokens]) => [sum + more, count + tokens], [0, 0]);
  if (!count) return "";
  const mean = sum / count;
  const figure = words
    ? `${mean.toFixed(2)} nats per word, perplexity ${Math.exp(mean).toLocaleString("en", { maximumSignificantDigits: 4 })} with unknown words (carried)`
    : `${mean.toFixed(2)} nats per token (carried)`;
  const part = read.length < blocks.length ? " in what was read" : "";
  return figure + part + atCursor(blocks, cursor);
}

function atCursor(blocks, cursor) {
  let begin = 0;
  const at = cursor > 0 && blocks.find(({ text }) => (begin += text.length) >= cursor);
  if (!at?.fresh) return "";
  let end = begin - at.text.length;
  const [piece, nats] = at.pieces.find(([piece]) => (end += piece.length) >= cursor) ?? [];
  return nats == null ? "" : `; “${piece.replace("\n", "↵")}” before the cursor ${nats.toFixed(2)}`;
}
