// Reads a text with the model: the surprisal of each token, and the state after the text.
//
// The states of a few earlier places are kept (anchors), so that only what changed is read again: while a
// person types at the end of a long text, a request reads one paragraph. An anchor stands after a line end or
// before a space, where no tokenizer joins what is left and right of it.

import { ask } from "./server.js";

const PARAGRAPH = 600; // characters between two anchors, at least
const MOST = 40; // anchors kept

export class Reader {
  // `base`: the state that the text continues from, or null.
  constructor(model, base) {
    this.model = model;
    this.base = base;
    this.anchors = []; // {text, state, seen, pieces}, shortest first
  }

  // Remember a state that is known already.
  know(text, state, seen) {
    this.anchors.push({ text, state, seen, pieces: null });
  }

  // Where to begin: the longest known beginning of the text. `coloured`: its pieces must be known.
  before(text, coloured = false) {
    this.anchors = this.anchors.filter((each) => text.startsWith(each.text) || each.text.startsWith(text));
    const known = this.anchors.filter((each) => text.startsWith(each.text) && (each.pieces || !coloured));
    return known.at(-1) ?? { text: "", state: this.base, pieces: [] };
  }

  // What a request for a continuation of the text says of it.
  prompt(text) {
    const from = this.before(text);
    return { model: this.model, prompt: text.slice(from.text.length), ...(from.state ? { state: from.state } : {}) };
  }

  // {pieces: [[text, nats or null], ...], state, seen, fingerprint: that of the model that read it}
  async read(text, signal) {
    let from = this.before(text, true);
    const border = place(text, from.text.length);
    if (border > from.text.length) {
      from = await this.step(from, text.slice(0, border), signal);
      this.anchors.push(from);
      this.anchors.sort((a, b) => a.text.length - b.text.length);
      if (this.anchors.length > MOST) this.anchors.splice(1, 1);
    }
    return this.step(from, text, signal);
  }

  async step(from, text, signal) {
    const rest = text.slice(from.text.length);
    const answer = await ask(
      "/v1/completions",
      {
        model: this.model,
        prompt: rest,
        ...(from.state ? { state: from.state } : {}),
        max_tokens: 0,
        echo: true,
        logprobs: 0,
        return_state: true,
      },
      signal,
    );
    const [{ logprobs, state, tokens_seen: seen }] = answer.choices;
    const read = [...from.pieces, ...pieces(rest, logprobs)];
    return { text, state, seen, pieces: read, notes: answer.notes, fingerprint: answer.system_fingerprint };
  }
}

function pieces(text, logprobs) {
  const surprisals = (logprobs?.token_logprobs ?? []).map((nats) => (nats === null ? null : -nats));
  return placed(text, logprobs?.text_offset ?? [], surprisals, (one, other) => (one ?? 0) + (other ?? 0));
}

// [[piece, value], ...] of a text by the places at which its tokens begin. Places count characters as the server
// does: an emoji is one of them, and two units of a string here. Tokens that begin at one place are one piece, whose
// value is made by `join`.
export function placed(text, begins, values, join = (_, other) => other) {
  const characters = Array.from(text);
  const found = [];
  begins.forEach((begin, token) => {
    const end = begins[token + 1] ?? characters.length;
    const piece = characters.slice(begin, end).join("");
    const same = begin === begins[token - 1] || (begin === characters.length && token > 0); // nothing left of the text
    const [words, value] = same ? found.pop() : ["", null];
    found.push([words + piece, same ? join(value, values[token]) : values[token]]);
  });
  return found;
}

// Where the next anchor after `from` may stand; `from` where the text is not that long.
function place(text, from) {
  if (text.length < from + PARAGRAPH) return from;
  const line = text.lastIndexOf("\n", text.length - 2) + 1;
  if (line >= from + PARAGRAPH / 2) return line;
  const space = text.lastIndexOf(" ", text.length - 2);
  return space >= from + PARAGRAPH / 2 ? space : from;
}
