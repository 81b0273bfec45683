// The texts on the desk and how they were forked: plain data, kept in this browser.
//
// A branch: {id, parent, at, text, base, state}. `at` is the place in the parent's text at which it was forked;
// `base` the state that its text continues from, or null; `state` {value, seen, length, model} after its text.

const PLACE = "pantoum.desk";
const SETTINGS = { temperature: 0.8, topP: 1, length: 120, auto: false, paint: "surprisal", layer: 0, unit: 0, model: null };

const fresh = () => ({
  branches: [{ id: 1, parent: null, at: 0, text: "", base: null, state: null }],
  current: 1,
  next: 2,
  settings: { ...SETTINGS },
});

export class Branches {
  constructor(tell) {
    this.tell = tell; // called with a message where the browser cannot keep the texts
    this.kept = fresh();
    try {
      const found = JSON.parse(localStorage.getItem(PLACE));
      if (found?.branches?.some((each) => each.id === found.current))
        this.kept = { ...found, settings: { ...SETTINGS, ...found.settings } };
    } catch {
      tell("What this browser had kept could not be read. The desk begins anew.");
    }
  }

  get settings() {
    return this.kept.settings;
  }
  get current() {
    return this.kept.branches.find((each) => each.id === this.kept.current);
  }

  children(parent) {
    return this.kept.branches.filter((each) => each.parent === parent);
  }

  open(id) {
    this.kept.current = id;
    this.save();
  }

  add(branch) {
    const made = { parent: null, at: 0, text: "", base: null, state: null, ...branch, id: this.kept.next++ };
    this.kept.branches.push(made);
    this.open(made.id);
    return made;
  }

  fork(at, text) {
    const { id, base } = this.current;
    return this.add({ parent: id, at, text, base });
  }

  // A branch goes; its forks are then forks of its parent, or texts of their own.
  remove(id) {
    const gone = this.kept.branches.find((each) => each.id === id);
    for (const child of this.children(id)) {
      child.parent = gone.parent;
      child.at = Math.min(child.at, gone.at);
    }
    this.kept.branches = this.kept.branches.filter((each) => each.id !== id);
    if (!this.kept.branches.length) this.kept = { ...fresh(), settings: this.settings };
    if (!this.current) this.kept.current = gone.parent ?? this.kept.branches[0].id;
    this.save();
  }

  save() {
    try {
      localStorage.setItem(PLACE, JSON.stringify(this.kept));
    } catch {
      this.tell("This browser has no room left to keep the texts: download what you need, and delete forks.");
    }
  }
}
