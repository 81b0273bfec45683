// The model in a worker, so that a page never waits for it: calls come as messages, and texts are written in slices of
// some milliseconds, side by side, between which other messages are heard.

import { Core } from "./core.js";
import { PantoumError } from "./errors.js";
import { Generation } from "./generation.js";
import { expanded, told } from "./messages.js";
import { Model } from "./model.js";
import { samplingOf } from "./sampling.js";

const SLICE = 12;

/** @type {Model} */
let model;
/** @type {Map<number, import("./session.js").Session>} */
const sessions = new Map();
/** @type {{id: number, writing: Generation, done: () => void}[]} */
const texts = [];
let made = 0;

/** @type {Record<string, (...given: any[]) => any>} */
const CALLS = {
  async load(/** @type {Uint8Array<ArrayBuffer>} */ module, /** @type {Uint8Array<ArrayBuffer>} */ data) {
    model = await Model.load(await Core.load(await expanded(module)), await expanded(data));
    const { card, config, documents, sha256, tokenizer } = model;
    return { card, config, documents, sha256, bringsSpace: tokenizer.spaces !== "apart" };
  },
  score: (text, by) => model.score(text, by),
  suggest: (prompt, k) => model.suggest(prompt, k),
  words(prompt, k) {
    const session = model.session();
    session.feed(prompt);
    return session.words(k);
  },
  session(state) {
    sessions.set(++made, model.session(state));
    return made;
  },
  feed: (session, text) => known(session).feed(text),
  state: (session) => known(session).state,
  rewind: (session, state) => known(session).rewind(state),
  suggestions: (session, k) => known(session).suggest(k),
  fork(session) {
    sessions.set(++made, known(session).fork());
    return made;
  },
  close: (session) => void sessions.delete(session),
  stop(id) {
    const found = texts.find((text) => text.id === id);
    if (found) found.writing.ended = true;
  },
};

onmessage = async ({ data: { id, call, given } }) => {
  try {
    if (call === "generate") await generate(id, given[0], given[1]);
    else postMessage({ id, value: await CALLS[call](...given) });
  } catch (error) {
    postMessage({ id, error: told(error) });
  }
};

/**
 * Writes a text: its pieces are posted as they come, at the end what is known of all of it.
 * @param {number} id
 * @param {any} settings
 * @param {number} [session]
 */
async function generate(id, settings, session) {
  /** @type {Generation & {notes?: string[]}} */
  let writing;
  if (session === undefined) writing = model.generate(settings);
  else {
    const { length = 500, seed, ...sampling } = settings;
    writing = new Generation(model, known(session)._state, samplingOf(sampling), { length, seed: model.seed(seed), exact: true });
  }
  await new Promise((/** @type {(value?: unknown) => void} */ done) => {
    texts.push({ id, writing, done });
    if (texts.length === 1) slice();
  });
  if (session !== undefined) known(session).rewind(writing.state);
  const { text, tokens, nats, stopped, seed, notes = [] } = writing;
  postMessage({ id, value: { text, tokens, nats, stopped, seed, notes } });
}

/** Some tokens of every text that is being written. */
function slice() {
  const until = performance.now() + SLICE;
  /** @type {Map<number, import("./generation.js").Piece[]>} */
  const pieces = new Map();
  while (texts.length && performance.now() < until) {
    for (const one of [...texts]) {
      try {
        if (!one.writing.ended) {
          const piece = one.writing.next();
          if (piece.text) pieces.set(one.id, [...(pieces.get(one.id) ?? []), piece]);
        }
      } catch (error) {
        one.writing.ended = true;
        postMessage({ id: one.id, error: told(error) });
      }
      if (one.writing.ended) {
        if (pieces.has(one.id)) postMessage({ id: one.id, pieces: pieces.get(one.id) });
        pieces.delete(one.id);
        texts.splice(texts.indexOf(one), 1);
        one.done();
      }
    }
  }
  for (const [id, own] of pieces) postMessage({ id, pieces: own });
  if (texts.length) setTimeout(slice);
}

/** @param {number} session */
function known(session) {
  const found = sessions.get(session);
  if (!found) throw new PantoumError("this session was closed: begin another one");
  return found;
}
