// Three continuations of a text, written side by side.

import { stream } from "./server.js";

export const COUNT = 3;

export class Alternatives {
  // `act`: {take, fork, again}, the first two called with a text.
  constructor(place, act) {
    this.act = act;
    this.seed = 1; // the sliders change the alternatives, not their luck
    this.texts = Array(COUNT).fill("");
    this.cards = Array.from({ length: COUNT }, (_, index) => {
      const card = document.createElement("li");
      const text = document.createElement("pre");
      text.tabIndex = 0;
      text.setAttribute("role", "group");
      text.setAttribute("aria-label", `Alternative ${index + 1}`);
      const bar = Object.assign(document.createElement("div"), { className: "bar" });
      const take = Object.assign(document.createElement("button"), { type: "button", className: "first" });
      take.append("Take ", Object.assign(document.createElement("kbd"), { textContent: index + 1, className: "keys" }));
      take.addEventListener("click", () => this.texts[index] && act.take(this.texts[index]));
      const fork = Object.assign(document.createElement("button"), { type: "button", textContent: "Fork" });
      fork.setAttribute("aria-label", `Put alternative ${index + 1} on a fork`);
      fork.addEventListener("click", () => this.texts[index] && act.fork(this.texts[index]));
      bar.append(take, fork);
      card.append(text, bar);
      place.append(card);
      return text;
    });
  }

  // A digit takes one, with Shift it puts it on a fork; N writes new ones.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const digit = /^(?:Digit|Numpad)([1-3])$/.exec(event.code);
    const words = digit && this.texts[digit[1] - 1];
    if (words) {
      event.preventDefault();
      (event.shiftKey ? this.act.fork : this.act.take)(words);
    } else if (event.key.toLowerCase() === "n") this.act.again();
  }

  reseed() {
    this.seed = Math.floor(Math.random() * 2 ** 31);
  }

  clear() {
    this.texts.fill("");
    for (const card of this.cards) card.textContent = "";
  }

  // Writes them, at most as many as the server writes at once. `told` is called with the number of characters so
  // far. The old texts stay until new ones come.
  async write(request, slots, told, signal) {
    const texts = Array(COUNT).fill("");
    let characters = 0;
    for await (const event of stream("/v1/completions", { ...request, n: Math.min(COUNT, slots) }, signal)) {
      if (signal.aborted) return;
      for (const { index, text } of event.choices) {
        texts[index] += text;
        characters += text.length;
        this.cards[index].textContent = texts[index];
      }
      this.texts = texts;
      told(characters);
    }
  }
}
