// The classes of the colours behind the text, and their legend.

const BOUNDS = [0.5, 1, 2, 3, 4, 6, 8]; // nats at which the next tint begins, as in report.html

const surprisal = (nats) => (nats === null ? "" : `s${BOUNDS.filter((bound) => nats >= bound).length}`);
const activation = (value) => (value === null ? "" : `u${Math.round((Math.max(-1, Math.min(1, value)) + 1) * 4)}`);

// [[text, class], ...] of a block, by "surprisal", by the values of a "unit", or by nothing.
export function tints(block, kind) {
  const [pieces, tint] = kind === "surprisal" ? [block.pieces, surprisal] : kind === "unit" ? [block.values, activation] : [];
  return pieces?.map(([piece, value]) => [piece, tint(value)]) ?? [[block.text, ""]];
}

export function legend(place, kind) {
  const [letter, count, low, high] = kind === "unit" ? ["u", 9, "−1", "+1"] : ["s", 8, "expected", "surprising"];
  const scale = document.createElement("span");
  for (let i = 0; i < count; i++) scale.append(Object.assign(document.createElement("b"), { className: letter + i }));
  place.replaceChildren(...(kind === "none" ? [] : [low, scale, high]));
}
