// What single hidden units hold over the text (Karpathy, Johnson, Fei-Fei 2015, "Visualizing and understanding
// recurrent networks"). The server looks at the part of the text that is shown.

import { text } from "./blocks.js";
import { placed } from "./reading.js";
import { ask } from "./server.js";

const MOST = 3_900; // characters of one request
const FOUND = 8;

// The first of some blocks that fit into one request, from the cursor's block on.
export function fitting(blocks, from = 0) {
  const found = [];
  let size = 0;
  for (const each of blocks.slice(Math.max(0, from))) if ((size += each.text.length) <= MOST || !found.length) found.push(each);
    else break;
  return found;
}

// [[text, value], ...] of one unit.
export async function activations(model, blocks, unit, signal) {
  const words = text(blocks);
  const found = await ask("/v1/activations", { model, text: words, units: [unit] }, signal);
  return placed(words, found.text_offset, found.units[0].values);
}

// [{layer, index, correlation}, ...], best first.
export async function following(model, words, feature, signal) {
  return (await ask("/v1/units", { model, text: words, feature, count: FOUND }, signal)).units;
}

// The units that were found, as buttons.
export function list(place, units, pick) {
  place.replaceChildren(
    ...units.map(({ layer, index, correlation }) => {
      const item = document.createElement("li");
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.append(Object.assign(document.createElement("span"), { textContent: `layer ${layer}, unit ${index}` }), `correlation ${correlation.toFixed(2)}`);
      button.addEventListener("click", () => pick(layer, index));
      item.append(button);
      return item;
    }),
  );
}
