// What single hidden units hold over the text (Karpathy, Johnson, Fei-Fei 2015, "Visualizing and understanding
// recurrent networks").

import { placed } from "./reading.js";
import { ask } from "./server.js";

const MOST_TOKENS = 3_900; // of one request
const FOUND = 8;

// The end of a text that the server looks at in one request: [begin, text].
export function visible(text, pieces) {
  const begin = pieces.slice(0, -MOST_TOKENS).reduce((sum, [piece]) => sum + piece.length, 0);
  return [begin, text.slice(begin)];
}

// [[text, value], ...] of one unit.
export async function activations(model, text, unit, signal) {
  const found = await ask("/v1/activations", { model, text, units: [unit] }, signal);
  return placed(text, found.text_offset, found.units[0].values);
}

// [{layer, index, correlation}, ...], best first.
export async function following(model, text, feature, signal) {
  return (await ask("/v1/units", { model, text, feature, count: FOUND }, signal)).units;
}
