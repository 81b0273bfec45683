// The next words, as chips above the text: a tap takes one, Tab takes the first while they are shown.

import { ask } from "./server.js";

const BEFORE = 600; // characters that the model reads
const PAUSE = 120; // ms without a key after which it is asked
const COUNT = 3;

export class Words {
  // `text`: the field; `model()`: the name of the model; `wanted()`: whether words are shown.
  constructor(place, text, { model, wanted }) {
    Object.assign(this, { place, text, model, wanted, timer: null, asking: null });
    place.addEventListener("pointerdown", (event) => event.preventDefault()); // the text keeps the cursor
    place.addEventListener("click", (event) => event.target.value && this.take(event.target.value));
    text.addEventListener("keydown", (event) => this.key(event));
    for (const name of ["blur", "pointerdown"]) text.addEventListener(name, () => this.clear());
  }

  // Somebody has typed.
  typed() {
    this.clear();
    if (this.wanted() && this.model()) this.timer = setTimeout(() => this.look(), PAUSE);
  }

  clear() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.place.hidden = true;
    this.place.replaceChildren();
  }

  async look() {
    const at = this.text.selectionEnd;
    if (at !== this.text.selectionStart || /^\w/.test(this.text.value.slice(at))) return;
    this.asking = new AbortController();
    const request = { model: this.model(), prompt: this.text.value.slice(Math.max(0, at - BEFORE), at), k: COUNT };
    try {
      const { begun, items } = await ask("/v1/suggest", request, this.asking.signal);
      if (this.text.selectionEnd === at) this.show(items.map(({ text }) => text.slice(begun.length)), begun);
    } catch {
      // Words are a help: without them the text is written as before.
    }
  }

  show(rests, begun) {
    const chips = rests.filter(Boolean).map((rest) =>
      Object.assign(document.createElement("button"), { type: "button", value: rest, textContent: begun + rest }),
    );
    this.place.replaceChildren(...chips);
    this.place.hidden = !chips.length;
  }

  key(event) {
    if (this.place.hidden) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      this.clear();
    } else if (event.key === "Tab" && !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      this.take(this.place.firstChild.value);
    }
  }

  take(rest) {
    const words = `${rest} `, at = this.text.selectionEnd;
    this.clear();
    this.text.focus();
    if (!document.execCommand("insertText", false, words)) {
      this.text.setRangeText(words, at, at, "end");
      this.text.dispatchEvent(new Event("input"));
    }
  }
}
