// Keeps words under names, in this browser, twice: in local storage, which has them at once but little room, and in
// IndexedDB, which has room and outlives a crash. Each copy carries a number; the greater one is read.

const PREFIX = "pantoum.";

export class Kept {
  // `tell(message)` is called where neither can keep something.
  constructor(tell) {
    this.tell = tell;
    this.database = null;
    this.values = new Map(); // name -> words
    this.lost = new Set(); // names that could not be kept
    this.number = 0;
  }

  async open() {
    this.database = await opened().catch(() => null);
    const found = new Map(); // name -> [number, words]
    const take = (name, number, words) => {
      if (number >= (found.get(name)?.[0] ?? -1)) found.set(name, [number, words]);
      this.number = Math.max(this.number, number);
    };
    for (const [name, { number, words }] of await entries(this.database).catch(() => [])) take(name, number, words);
    try {
      for (const key of Object.keys(localStorage).filter((each) => each.startsWith(PREFIX))) {
        const [, number, words] = /^(?:(\d{1,15}) )?([^]*)$/.exec(localStorage.getItem(key));
        take(key.slice(PREFIX.length), Number(number ?? 0), words);
      }
    } catch {
      // The browser refuses its local storage to this page.
    }
    for (const [name, [, words]] of found) this.values.set(name, words);
  }

  // Whether that is another value than before.
  put(name, words) {
    if (this.values.get(name) === words && !this.lost.has(name)) return false;
    this.values.set(name, words);
    this.number = Math.max(this.number + 1, Date.now());
    const number = this.number;
    let first = true;
    try {
      localStorage.setItem(PREFIX + name, `${number} ${words}`);
    } catch {
      first = false;
    }
    if (first) this.lost.delete(name);
    else this.lost.add(name);
    this.change((store) => store.put({ number, words }, name)).then(
      () => this.lost.delete(name),
      () => first || this.tell("This browser cannot keep what you write: copy the text before you close the page."),
    );
    return true;
  }

  remove(name) {
    this.values.delete(name);
    this.lost.delete(name);
    try {
      localStorage.removeItem(PREFIX + name);
    } catch {
      // As above.
    }
    this.change((store) => store.delete(name)).catch(() => {});
  }

  change(act) {
    return new Promise((resolve, reject) => {
      if (!this.database) throw new Error("no database");
      const work = this.database.transaction("kept", "readwrite");
      work.oncomplete = resolve;
      work.onerror = work.onabort = () => reject(work.error);
      act(work.objectStore("kept"));
      work.commit?.(); // also where the page is being closed
    });
  }
}

const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => reject(request.error);
  });

async function opened() {
  const request = indexedDB.open("pantoum", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("kept");
  const late = new Promise((resolve) => setTimeout(resolve, 2_000, null)); // some browsers never answer
  return Promise.race([result(request), late]);
}

async function entries(database) {
  if (!database) return [];
  const store = database.transaction("kept").objectStore("kept");
  const [names, values] = await Promise.all([result(store.getAllKeys()), result(store.getAll())]);
  return names.map((name, i) => [name, values[i]]);
}
