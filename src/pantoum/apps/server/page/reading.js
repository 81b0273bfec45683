// Reads a text with the model: the surprisal of each token of the blocks that are shown, and the states after blocks.
//
// Blocks whose colours nobody sees are only passed: the answer is a state and no token. While a person types at the
// end of a long text, a request reads one block.

import { before, blocksOf, difference, edit, spread, text } from "./blocks.js";
import { ask } from "./server.js";

const PASSED = 60_000; // characters that are passed in one request
const SCORED = 3_000; // characters that are scored in one request

export class Reader {
  // `base`: the state that the text continues from, or null. `blocks`: what is known of its beginning.
  constructor(model, base, words, blocks = []) {
    this.model = model;
    this.base = base;
    this.words = words;
    this.blocks = [...blocks, ...blocksOf(words.slice(text(blocks).length))];
    this.notes = [];
    this.fingerprint = null; // that of the model that read it last
  }

  // A text that begins as this one does.
  fork(words, at) {
    return new Reader(this.model, this.base, words, before(this.blocks, at));
  }

  // The text is another one now: {at, removed, inserted, first, gone, made}, how it changed and which blocks.
  edit(words) {
    const change = difference(this.words, words);
    this.words = words;
    return { ...change, ...(change.removed || change.inserted ? edit(this.blocks, change) : { first: 0, gone: 0, made: [] }) };
  }

  // Remember a state {value, seen, length} after so many characters.
  know(state) {
    let end = 0;
    for (let i = 0; i < this.blocks.length && end < state.length; i++) {
      const each = this.blocks[i];
      end += each.text.length;
      if (end > state.length) {
        const size = each.text.length - (end - state.length);
        this.blocks.splice(i, 1, ...[each.text.slice(0, size), each.text.slice(size)].flatMap(blocksOf));
        end = state.length;
      }
      if (end === state.length) this.blocks[i].exit = { value: state.value, seen: state.seen };
    }
  }

  // The newest states, to be kept: after the text, and before it.
  states() {
    const found = [null, null];
    let length = 0;
    this.blocks.forEach(({ text, exit }, i) => {
      length += text.length;
      if (exit) found[i === this.blocks.length - 1 ? 0 : 1] = { ...exit, length };
    });
    return found;
  }

  // The state after `count` blocks.
  async reach(count, signal) {
    let begin = count;
    while (begin > 0 && !this.blocks[begin - 1].exit) begin--;
    while (begin < count) {
      let end = begin + 1;
      for (let size = this.blocks[begin].text.length; end < count; end++)
        if ((size += this.blocks[end].text.length) > PASSED) break;
      const passed = this.blocks.slice(begin, end);
      const choice = await this.ask(begin, passed, {}, signal);
      passed.at(-1).exit = exited(choice);
      begin = end;
    }
    return count ? this.blocks[count - 1].exit?.value : this.base;
  }

  // What a request for a continuation after `at` characters says of the text.
  async prompt(at, signal) {
    const known = before(this.blocks, at);
    const state = await this.reach(known.length, signal);
    const rest = this.words.slice(text(known).length, at);
    return { model: this.model, prompt: wellFormed(rest), ...(state ? { state } : {}) };
  }

  // Where some blocks begin and end among all: [first, last].
  range(blocks) {
    const first = this.blocks.indexOf(blocks[0]);
    return first < 0 ? [0, 0] : [first, first + blocks.length];
  }

  // Reads the blocks from `first` to before `last` where that was not done. `read` is called with each run of them.
  async read(first, last, read, signal) {
    if (!this.blocks.length && this.base) await this.ask(0, [], {}, signal); // a state that is none is told at once
    for (let i = first; i < last; ) {
      if (this.blocks[i].fresh) {
        i++;
        continue;
      }
      await this.reach(i, signal);
      let end = i + 1;
      for (let size = this.blocks[i].text.length; end < last && !this.blocks[end].fresh; end++)
        if ((size += this.blocks[end].text.length) > SCORED) break;
      const run = this.blocks.slice(i, end);
      const choice = await this.ask(i, run, { echo: true, logprobs: 0 }, signal);
      spread(pieces(text(run), choice.logprobs), run, "pieces");
      for (const each of run) each.fresh = true;
      run.at(-1).exit = exited(choice);
      read(run);
      i = end;
    }
  }

  async ask(index, blocks, more, signal) {
    const state = index ? this.blocks[index - 1].exit.value : this.base;
    const { words } = this;
    const answer = await ask(
      "/v1/completions",
      {
        model: this.model,
        prompt: wellFormed(text(blocks)),
        ...(state ? { state } : {}),
        max_tokens: 0,
        return_state: true,
        ...more,
      },
      signal,
    );
    if (this.words !== words) throw new DOMException("The text has changed since.", "AbortError");
    this.notes = answer.notes ?? [];
    this.fingerprint = answer.system_fingerprint;
    return answer.choices[0];
  }
}

const exited = ({ state, tokens_seen: seen }) => ({ value: state, seen });

// Half of a surrogate pair, which a person can paste, is no character for the server.
const wellFormed = (words) => words.toWellFormed?.() ?? words;

function pieces(words, logprobs) {
  const surprisals = (logprobs?.token_logprobs ?? []).map((nats) => (nats === null ? null : -nats));
  return placed(words, logprobs?.text_offset ?? [], surprisals, (one, other) => (one ?? 0) + (other ?? 0));
}

// [[piece, value], ...] of a text by the places at which its tokens begin. Places count characters as the server
// does: an emoji is one of them, and two units of a string here. Tokens that begin at one place are one piece, whose
// value is made by `join`. What no token begins belongs to no token.
export function placed(words, begins, values, join = (_, other) => other) {
  const characters = Array.from(words);
  const found = begins[0] > 0 ? [[characters.slice(0, begins[0]).join(""), null]] : [];
  begins.forEach((begin, token) => {
    const end = begins[token + 1] ?? characters.length;
    const piece = characters.slice(begin, end).join("");
    const same = begin === begins[token - 1] || (begin === characters.length && token > 0); // nothing left of the text
    const [words, value] = same ? found.pop() : ["", null];
    found.push([words + piece, same ? join(value, values[token]) : values[token]]);
  });
  return found;
}
