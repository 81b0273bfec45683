// The colours behind the text: one <i> for each run of pieces of the same tint.

const BOUNDS = [0.5, 1, 2, 3, 4, 6, 8]; // nats at which the next tint begins, as in report.html

export const surprisal = (nats) => (nats === null ? "" : `s${BOUNDS.filter((bound) => nats >= bound).length}`);
export const activation = (value) => `u${Math.round((Math.max(-1, Math.min(1, value)) + 1) * 4)}`;

// `pieces`: [[text, class], ...] from the place `begin` on; what they do not cover stays plain.
export function paint(mirror, text, pieces, begin = 0) {
  const parts = [document.createTextNode(text.slice(0, begin))];
  let at = begin;
  for (const [piece, tint] of pieces) {
    if (text.slice(at, at + piece.length) !== piece) break; // typed over since it was read
    const last = parts.at(-1);
    if (last.className === tint) last.textContent += piece;
    else if (tint) {
      const run = document.createElement("i");
      run.className = tint;
      run.textContent = piece;
      parts.push(run);
    } else parts.push(document.createTextNode(piece));
    at += piece.length;
  }
  parts.push(document.createTextNode(text.slice(at) + "\n"));
  mirror.replaceChildren(...parts);
}

export function legend(place, kind) {
  const [letter, count, low, high] = kind === "unit" ? ["u", 9, "−1", "+1"] : ["s", 8, "expected", "surprising"];
  const scale = document.createElement("span");
  for (let i = 0; i < count; i++) scale.append(Object.assign(document.createElement("b"), { className: letter + i }));
  place.replaceChildren(...(kind === "none" ? [] : [low, scale, high]));
}
