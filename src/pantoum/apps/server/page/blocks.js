// A text as blocks: what is read, drawn and kept apart, so that a key costs one block and not the text.
//
//   text -> blocks -> state after a block (reading.js) -> pieces with their nats -> spans (mirror.js)
//
// A block: {text, pieces, fresh, exit}. `pieces` [[text, nats], ...] or null; `fresh`: they are those of the text as
// it is now; `exit` {value, seen}: the model's state after the block, or null. A block ends after a line end or before
// a space, where no tokenizer joins what is left and right of it; only a long run without either is cut elsewhere.

const LEAST = 80; // characters of a block that ends with its line
const MOST = 1_000; // characters of a block that ends within a line

const block = (text, pieces = null) => ({ text, pieces, fresh: false, exit: null });
const border = (before, after) => before.endsWith("\n") || after.startsWith(" ");
const joins = (last, text) => !border(last, text) || last.length < LEAST || !(last.endsWith("\n") || last.length + text.length > MOST);

export function split(text) {
  const found = [];
  for (let begin = 0, end; begin < text.length; begin = end) {
    end = cut(text, begin);
    found.push(text.slice(begin, end));
  }
  return found;
}

function cut(text, begin) {
  const line = text.indexOf("\n", begin + LEAST - 1) + 1;
  if (line && line <= begin + MOST) return line;
  if (text.length <= begin + MOST) return text.length;
  const lastLine = text.lastIndexOf("\n", begin + MOST - 1) + 1;
  if (lastLine > begin) return lastLine;
  const space = text.lastIndexOf(" ", begin + MOST);
  if (space > begin) return space;
  const end = begin + MOST;
  return /[\uD800-\uDBFF]/.test(text[end - 1]) ? end - 1 : end;
}

export const blocksOf = (text) => split(text).map((each) => block(each));

// Copies of the blocks that lie wholly before a place.
export function before(blocks, place) {
  const found = [];
  for (const each of blocks) {
    place -= each.text.length;
    if (place < 0) break;
    found.push({ ...each });
  }
  return found;
}

// How a text became another: {at, removed, inserted}.
export function difference(old, text) {
  const most = Math.min(old.length, text.length);
  const at = same(most, (begin, end) => old.slice(begin, end) === text.slice(begin, end));
  const tail = same(most - at, (begin, end) => old.slice(old.length - end, old.length - begin) === text.slice(text.length - end, text.length - begin));
  return { at, removed: old.length - at - tail, inserted: text.slice(at, text.length - tail) };
}

// For how long, of `most` characters, two texts are the same: by larger and by smaller steps.
function same(most, equal) {
  let size = 0;
  for (const step of [4_096, 64, 1]) while (size + step <= most && equal(size, size + step)) size += step;
  return size;
}

// A change goes into the blocks. {first, gone, made}: `gone` blocks from `first` on were replaced by `made`. The later
// ones keep their colours, and have to be read again.
export function edit(blocks, { at, removed, inserted }) {
  let first = 0;
  let begin = 0;
  while (first < blocks.length && begin + blocks[first].text.length <= at) begin += blocks[first++].text.length;
  let last = first; // the first block behind the change
  let end = begin;
  while (last < blocks.length && end < at + removed) end += blocks[last++].text.length;
  if (last === first && last < blocks.length) end += blocks[last++].text.length; // an insertion
  const whole = () => text(blocks.slice(first, last));
  let old = whole();
  let made = old.slice(0, at - begin) + inserted + old.slice(at - begin + removed);
  if (first > 0 && made && joins(blocks[first - 1].text, made)) {
    const joined = blocks[--first].text;
    begin -= joined.length;
    [old, made] = [joined + old, joined + made];
  }
  while (last < blocks.length && made && (made.length < LEAST || !border(made, blocks[last].text))) {
    const joined = blocks[last++].text;
    [old, made] = [old + joined, made + joined];
  }
  const pieces = carried(blocks.slice(first, last), at - begin, removed, inserted);
  const created = split(made).map((each) => block(each));
  spread(pieces, created, "pieces");
  blocks.splice(first, last - first, ...created);
  for (let i = first + created.length; i < blocks.length; i++) Object.assign(blocks[i], { fresh: false, exit: null });
  return { first, gone: last - first, made: created };
}

export const text = (blocks) => blocks.map((each) => each.text).join("");

// What is known of the text around a change stays until the change is read: no colour flickers.
function carried(blocks, at, removed, inserted) {
  const known = blocks.flatMap((each) => each.pieces ?? [[each.text, null]]);
  const found = [];
  let place = 0;
  let put = false;
  for (const [piece, nats] of known) {
    const end = place + piece.length;
    if (end <= at) found.push([piece, nats]);
    else {
      const left = piece.slice(0, Math.max(0, at - place));
      const right = piece.slice(Math.min(piece.length, Math.max(0, at + removed - place)));
      if (left) found.push([left, null]);
      if (!put) found.push([inserted, null]);
      put = true;
      if (right) found.push([right, right === piece ? nats : null]);
    }
    place = end;
  }
  if (!put) found.push([inserted, null]);
  return found.filter(([piece]) => piece);
}

// Pieces of a run of blocks become theirs, under `name`; a piece over a border is part of both.
export function spread(pieces, blocks, name) {
  let next = 0;
  let used = 0; // characters of the next piece
  for (const each of blocks) {
    const own = [];
    for (let left = each.text.length; left > 0 && next < pieces.length; ) {
      const [piece, value] = pieces[next];
      const part = piece.slice(used, used + left);
      own.push([part, value]);
      left -= part.length;
      used += part.length;
      if (used === piece.length) [next, used] = [next + 1, 0];
    }
    const rest = each.text.slice(own.reduce((size, [part]) => size + part.length, 0));
    each[name] = rest ? [...own, [rest, null]] : own;
  }
}
