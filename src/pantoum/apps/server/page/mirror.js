// The coloured text behind the textarea, letter on letter.
//
// It stands in sections of some lines. Those that are near the part shown are text with colours; of the others only
// the height is kept, which was measured once. So a key lays out and paints one section.

const SECTION = 600; // characters of a section, at least
const LARGEST = 3_000; // ... and from which one is divided again

export class Mirror {
  // `tints(block)`: [[text, class], ...]. `moved` is called when other sections are near.
  constructor(place, frame, tints, moved) {
    this.place = place;
    this.tints = tints;
    this.sections = []; // {node, blocks, near}
    this.spans = new WeakMap(); // of blocks
    this.end = document.createTextNode("\n"); // an empty last line has its height, too
    this.watch = new IntersectionObserver((entries) => this.seen(entries, moved), { root: frame, rootMargin: "300px" });
    let width = 0;
    new ResizeObserver(([{ contentRect }]) => {
      if (width && contentRect.width !== width) this.measure();
      width = contentRect.width;
    }).observe(place);
  }

  show(blocks) {
    this.watch.disconnect();
    this.spans = new WeakMap();
    this.sections = grouped(blocks).map((each) => this.section(each));
    this.place.replaceChildren(...this.sections.map(({ node }) => node));
    this.measure();
    for (const { node } of this.sections) this.watch.observe(node);
  }

  section(blocks, near = false) {
    return { node: document.createElement("div"), blocks, near };
  }

  // `gone` blocks from `first` on were replaced by `made`.
  replace(first, gone, made) {
    let index = 0;
    while (index < this.sections.length - 1 && first >= this.sections[index].blocks.length) first -= this.sections[index++].blocks.length;
    let last = index + 1;
    const blocks = [...this.sections[index].blocks];
    const typed = gone === 1 && made.length === 1 && blocks[first]; // the common case: its nodes stay
    while (last < this.sections.length && (first + gone > blocks.length || !ends(blocks, first, gone, made))) blocks.push(...this.sections[last++].blocks);
    blocks.splice(first, gone, ...made);
    if (this.spans.has(typed)) {
      this.spans.set(made[0], this.spans.get(typed));
      this.tint(made);
    }
    const old = this.sections.slice(index, last);
    const groups = blocks.reduce((size, each) => size + each.text.length, 0) > LARGEST ? grouped(blocks) : [blocks];
    const now = groups.map((each, i) => Object.assign(old[i] ?? this.section([]), { blocks: each, near: true }));
    this.sections.splice(index, old.length, ...now);
    for (const { node } of old.slice(now.length)) {
      this.watch.unobserve(node);
      node.remove();
    }
    now.forEach((each, i) => {
      if (i) now[i - 1].node.after(each.node);
      this.fill(each);
      if (i >= old.length) this.watch.observe(each.node);
    });
    const { node } = this.sections.at(-1);
    if (this.end.parentNode !== node) node.append(this.end);
  }

  // The colours of some blocks, or of all that are near, have changed.
  tint(blocks = this.near()) {
    for (const each of blocks) {
      const span = this.spans.get(each);
      if (span) paint(span, this.tints(each));
    }
  }

  // The blocks that are near the part shown.
  near() {
    return this.sections.filter(({ near }) => near).flatMap(({ blocks }) => blocks);
  }

  fill(section) {
    section.node.style.height = "";
    const nodes = section.blocks.map((each) => {
      if (!this.spans.has(each)) {
        this.spans.set(each, document.createElement("span"));
        this.tint([each]);
      }
      return this.spans.get(each);
    });
    if (section === this.sections.at(-1)) nodes.push(this.end);
    exchange(section.node, nodes, (node, other) => node === other, (node) => node);
  }

  // The height of every section at this width.
  measure() {
    const far = this.sections.filter(({ near }) => !near);
    for (const section of far) {
      section.node.style.height = "";
      section.node.textContent = section.blocks.map(({ text }) => text).join("");
    }
    this.sections.at(-1)?.node.append(this.end);
    const heights = far.map(({ node }) => node.getBoundingClientRect().height);
    far.forEach((section, i) => this.empty(section, heights[i]));
  }

  empty(section, height) {
    section.node.style.height = `${height}px`;
    section.node.replaceChildren();
    for (const each of section.blocks) this.spans.delete(each);
  }

  seen(entries, moved) {
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      const section = this.sections.find(({ node }) => node === target);
      if (!section || section.near === isIntersecting) continue;
      section.near = isIntersecting;
      if (isIntersecting) this.fill(section);
      else this.empty(section, boundingClientRect.height);
    }
    moved();
  }
}

// Whether the last of these blocks still ends a line when the change was made.
function ends(blocks, first, gone, made) {
  const last = first + gone < blocks.length ? blocks.at(-1) : (made.at(-1) ?? blocks[first - 1]);
  return last?.text.endsWith("\n") ?? true;
}

function grouped(blocks) {
  const found = [[]];
  let size = 0;
  blocks.forEach((each, i) => {
    found.at(-1).push(each);
    size += each.text.length;
    if (size >= SECTION && each.text.endsWith("\n") && i < blocks.length - 1) {
      found.push([]);
      size = 0;
    }
  });
  return found;
}

// One <i> for each run of pieces of the same tint.
function paint(span, pieces) {
  const runs = [];
  for (const [words, tint] of pieces) {
    if (runs.length && runs.at(-1).tint === tint) runs.at(-1).words += words;
    else runs.push({ words, tint });
  }
  const same = (node, { words, tint }) => node.textContent === words && (node.className ?? "") === tint;
  const made = ({ words, tint }) => (tint ? Object.assign(document.createElement("i"), { className: tint, textContent: words }) : document.createTextNode(words));
  exchange(span, runs, same, made);
}

// The children become those of a list; what is the same at the beginning and at the end stays.
function exchange(parent, list, same, made) {
  const old = [...parent.childNodes];
  let first = 0;
  while (first < old.length && first < list.length && same(old[first], list[first])) first++;
  let last = 0;
  while (last < Math.min(old.length, list.length) - first && same(old.at(-1 - last), list.at(-1 - last))) last++;
  const behind = old[old.length - last] ?? null;
  for (const node of old.slice(first, old.length - last)) node.remove();
  for (const each of list.slice(first, list.length - last)) parent.insertBefore(made(each), behind);
}
