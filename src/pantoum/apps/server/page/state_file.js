// A state with its text, as a file that a person keeps.

import { Failure } from "./server.js";

// `kept`: {model, fingerprint, value, seen, text, base}.
export function saved({ value: state, seen, ...kept }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify({ ...kept, tokens_seen: seen, state })], { type: "application/json" }));
  link.download = `state-${seen}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
  return { seen };
}

// {model, branch} of a file; `known`: the server's models, `model`: the one that is chosen.
export async function loaded(file, known, model) {
  let found = null;
  try {
    found = JSON.parse(await file.text());
  } catch {
    // Not JSON: told below.
  }
  if (typeof found?.state !== "string") throw new Failure(`${file.name} holds no state: give a file that “download the state” made.`);
  const fits = ({ id, fingerprint }) => (found.fingerprint ? fingerprint === found.fingerprint : id === model);
  const own = known.find((each) => each.id === model && fits(each)) ?? known.find(fits);
  if (!own) throw new Failure(`${file.name} is a state of another model (${found.model}): serve that model to go on from it.`);
  const text = typeof found.text === "string" ? found.text : "";
  const state = { value: found.state, seen: found.tokens_seen ?? 0, length: text.length, model: own.fingerprint };
  return { model: own.id, branch: text ? { text, base: found.base ?? null, state } : { base: found.state } };
}
