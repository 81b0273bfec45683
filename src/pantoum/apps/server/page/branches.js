// The texts on the desk and how they were forked.
//
// A branch: {id, parent, at, text, base, state, border}. `at` is the place in the parent's text at which it was forked;
// `base` the state that its text continues from, or null; `state` and `border` {value, seen, length, model} after the
// text and before its last lines. The text is kept by itself, as it is: whatever else cannot be read, it can.

const SETTINGS = { temperature: 0.9, topP: 1, length: 120, auto: false, suggest: false, paint: "surprisal", layer: 0, unit: 0, model: null };
const OWN = { parent: null, at: 0, base: null, state: null, border: null };
const OPEN = "pantoum.open"; // the text that this tab shows

export class Branches {
  // `changed(id, branch or null)` is called where other tabs should know.
  constructor(kept, tell, changed) {
    this.kept = kept;
    this.changed = changed;
    this.all = new Map();
    for (const [name, words] of kept.values) {
      const id = /^text\.(.+)$/.exec(name)?.[1];
      if (id) this.all.set(id, { ...OWN, ...read(kept.values.get(`branch.${id}`)), id, text: words });
    }
    this.settings = { ...SETTINGS, ...read(kept.values.get("settings")) };
    this.old(tell);
    if (!this.all.size) this.add({}, false);
    let open = this.settings.open;
    try {
      open = sessionStorage.getItem(OPEN) ?? open;
    } catch {
      // The browser refuses it to this page.
    }
    this.open(this.all.has(open) ? open : this.sorted().at(-1).id);
  }

  // What an older page has kept, in one piece.
  old(tell) {
    const words = this.kept.values.get("desk");
    if (words === undefined) return;
    const found = read(words);
    const texts = Array.isArray(found?.branches) ? found.branches.filter((each) => typeof each?.text === "string") : [];
    const name = (id) => (id === null || id === undefined ? null : String(id).padStart(12, "0"));
    for (const each of texts) this.add({ ...each, id: name(each.id), parent: name(each.parent) }, false);
    if (!texts.length && words.trim()) {
      this.add({ text: words }, false);
      tell("What this browser had saved could not be read. It is kept unchanged as a separate text.");
    } else this.settings = { ...this.settings, ...found?.settings, open: name(found?.current) };
    this.kept.remove("desk");
  }

  sorted() {
    return [...this.all.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  children(parent) {
    return this.sorted().filter((each) => (this.all.has(each.parent) ? each.parent : null) === parent);
  }

  open(id) {
    this.current = this.all.get(id);
    this.settings.open = id;
    try {
      sessionStorage.setItem(OPEN, id);
    } catch {
      // As above.
    }
    this.set();
  }

  add(branch, open = true) {
    const made = { ...OWN, text: "", ...branch };
    this.kept.number = Math.max(this.kept.number + 1, Date.now()); // in the order in which they were made
    made.id ??= `${this.kept.number.toString(36).padStart(12, "0")}-${Math.random().toString(36).slice(2, 8)}`;
    made.text = made.text.replace(/\r\n?/g, "\n"); // as a textarea holds it
    this.all.set(made.id, made);
    this.save(made);
    if (open) this.open(made.id);
    return made;
  }

  fork(at, text) {
    const { id, base } = this.current;
    return this.add({ parent: id, at, text, base });
  }

  // A branch goes; its forks are then forks of its parent, or texts of their own.
  remove(id) {
    const gone = this.all.get(id);
    for (const child of this.children(id)) {
      child.parent = gone.parent;
      child.at = Math.min(child.at, gone.at);
      this.save(child);
    }
    this.all.delete(id);
    for (const part of ["text", "branch"]) this.kept.remove(`${part}.${id}`);
    this.changed(id, null);
    if (!this.all.size) this.add({});
    if (this.current === gone) this.open(this.all.has(gone.parent) ? gone.parent : this.sorted()[0].id);
  }

  save(branch = this.current) {
    const { id, text, ...rest } = branch;
    const other = this.kept.put(`text.${id}`, text);
    if (this.kept.put(`branch.${id}`, JSON.stringify(rest)) || other) this.changed(id, other ? branch : rest);
  }

  set() {
    this.kept.put("settings", JSON.stringify(this.settings));
  }

  // Another tab has changed a branch, or removed it.
  follow(id, branch) {
    if (branch) this.all.set(id, Object.assign(this.all.get(id) ?? { text: "" }, branch));
    else if (this.current.id !== id) this.all.delete(id);
    if (branch?.text !== undefined) this.kept.values.set(`text.${id}`, branch.text);
  }
}

function read(words) {
  try {
    return JSON.parse(words);
  } catch {
    return null;
  }
}
