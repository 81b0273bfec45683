// Answers calls of the library, for tests in Python: a JSON list of {model, calls: [[name, ...arguments], ...]} on
// stdin, the list of answers on stdout. Bytes are base64 in both.
import { readFileSync } from "node:fs";
import { load } from "../../../src/pantoum/apps/web/index.js";

const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const bytesOf = (text) => (text == null ? null : Uint8Array.from(Buffer.from(text, "base64")));
const module = readFileSync(process.argv[2]);

const CALLS = {
  generate(model, { state, ...settings }) {
    const writing = model.generate({ ...settings, seed: BigInt(settings.seed), state: bytesOf(state) });
    const pieces = Array.from(writing, ({ text }) => text);
    const { text, tokens, nats, stopped } = writing;
    if (pieces.join("") !== text) throw new Error("its pieces are not its text");
    const session = model.session();
    session.rewind(writing.state);
    return { text, tokens, nats, stopped, state: base64(session.state) };
  },
  score: (model, text, by) => model.score(text, by),
  suggest: (model, prompt, k) => model.suggest(prompt, k),
  session(model, prompt, settings) {
    const session = model.session();
    session.feed(prompt);
    const before = session.state;
    const fork = session.fork();
    const written = (one) => Array.from(one.generate({ ...settings }), ({ text }) => text).join("");
    const text = written(session);
    const forked = written(fork);
    fork.rewind(before);
    return { text, forked, again: written(fork), state: base64(session.state) };
  },
};

const answers = [];
for (const { model: path, calls } of JSON.parse(readFileSync(0, "utf8"))) {
  const own = [];
  try {
    const model = await load(typeof path === "string" ? readFileSync(path) : bytesOf(path.bytes), { module });
    for (const [name, ...given] of calls) {
      try {
        own.push(CALLS[name](model, ...given));
      } catch (error) {
        own.push({ error: error.message, kind: error.name });
      }
    }
  } catch (error) {
    own.push({ error: error.message, kind: error.name });
  }
  answers.push(own);
}
process.stdout.write(JSON.stringify(answers));
