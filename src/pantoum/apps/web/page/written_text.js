// One text on the page: its words as they are written, shaded by what they cost the model. It is one stop of the Tab
// key; the arrow keys go from word to word. Texts are put there as text, never as markup.

/** Nats of a word from which on it has the next shade. */
const SHADES = [2, 4, 6, 9, 13];
const BLANK = /^\s*$/u;

export class WrittenText {
  /**
   * @param {string} prompt
   * @param {string} title
   * @param {{chosen: (text: WrittenText, place: number) => void, tell: (message: string) => void}} heard
   */
  constructor(prompt, title, { chosen, tell }) {
    this._prompt = prompt;
    /** Each with the white space before it, which has no shade. @type {{text: string, nats: number, space: Text, span: HTMLSpanElement}[]} */
    this._words = [];
    const [heading, bar, copy] = [document.createElement("h3"), document.createElement("header"), document.createElement("button")];
    this.element = document.createElement("article");
    this._text = document.createElement("div");
    heading.textContent = title;
    copy.type = "button";
    copy.textContent = "Copy";
    copy.setAttribute("aria-label", `Copy ${title.toLowerCase()}`);
    copy.onclick = async () => {
      try {
        await navigator.clipboard.writeText(this.at(this._words.length).before);
        tell(`${title} is copied.`);
      } catch {
        // A page of http, or one that may not: whoever wants to copies what is selected then.
        getSelection()?.selectAllChildren(this._text);
      }
    };
    bar.append(heading, copy);
    this._text.className = "text";
    this._text.dir = "auto";
    this._text.setAttribute("role", "group");
    this._text.setAttribute("aria-label", title);
    const given = document.createElement("span");
    given.className = "given";
    given.textContent = prompt;
    this._text.append(given);
    this._text.onclick = ({ target }) => {
      const place = this._words.findIndex(({ span }) => span === target);
      if (place >= 0) chosen(this, place);
    };
    this._text.onkeydown = (event) => {
      const place = this._words.findIndex(({ span }) => span === event.target);
      if (place < 0 || event.ctrlKey || event.metaKey) return;
      const right = this.direction === "rtl" ? -1 : 1;
      /** @type {Record<string, number>} */
      const moves = { ArrowRight: place + right, ArrowDown: place + 1, ArrowLeft: place - right, ArrowUp: place - 1, Home: 0, End: this._words.length - 1 };
      if (event.key in moves) this._go(moves[event.key]);
      else if (event.key === "Enter" || event.key === " ") chosen(this, place);
      else return;
      event.preventDefault();
    };
    this.element.append(bar, this._text);
  }

  /**
   * The text before a word, and the word.
   * @param {number} place
   */
  at(place) {
    const before = this._prompt + this._words.slice(0, place).map(({ text }) => text).join("");
    return { before, word: this._words[place]?.text ?? "" };
  }

  /**
   * Writes after the prompt.
   * @param {import("../remote.js").RemoteModel} model
   * @param {Record<string, any>} settings
   * @param {{signal: AbortSignal}} options
   */
  write(model, settings, { signal }) {
    return model.write(settings, { signal, onPieces: (pieces) => pieces.forEach((piece) => this._add(piece)) });
  }

  /**
   * Goes on from a word with another one in its place.
   * @param {import("../remote.js").RemoteModel} model
   * @param {number} place
   * @param {string} instead
   * @param {Record<string, any>} settings
   * @param {{signal: AbortSignal}} options
   */
  fork(model, place, instead, settings, options) {
    for (const { space, span } of this._words.splice(place)) {
      space.remove();
      span.remove();
    }
    this._add({ text: instead, nats: 0 });
    return this.write(model, { ...settings, prompt: this.at(this._words.length).before }, options);
  }

  /** The one of its letters: "ltr" or "rtl". */
  get direction() {
    return getComputedStyle(this._text).direction;
  }

  /** Puts the focus on its last word. */
  focus() {
    this._words.find(({ span }) => span.tabIndex === 0)?.span.focus();
  }

  /** @param {number} place */
  _go(place) {
    const next = this._words[Math.max(0, Math.min(place, this._words.length - 1))];
    for (const { span } of this._words) span.tabIndex = -1;
    next.span.tabIndex = 0;
    next.span.focus();
  }

  /**
   * Some more characters: a word begins where white space does, once the word before has something visible.
   * @param {import("../generation.js").Piece} piece
   */
  _add({ text, nats }) {
    const last = this._words.at(-1);
    if (!last || (/^\s/u.test(text) && !BLANK.test(last.text))) {
      const [space, span] = [document.createTextNode(""), document.createElement("span")];
      span.setAttribute("role", "button");
      span.tabIndex = this._words.length ? -1 : 0;
      this._words.push({ text: "", nats: 0, space, span });
      this._text.append(space, span);
    }
    const word = this._words[this._words.length - 1];
    word.text += text;
    word.nats += nats;
    const begin = BLANK.test(word.text) ? 0 : word.text.search(/\S/u);
    word.space.data = word.text.slice(0, begin);
    word.span.textContent = word.text.slice(begin);
    const shade = SHADES.filter((least) => word.nats >= least).length;
    word.span.className = shade ? `s${shade}` : "";
    word.span.title = `${word.nats.toFixed(1)} nats`;
    if (BLANK.test(word.text)) word.span.setAttribute("aria-label", "white space");
    else word.span.removeAttribute("aria-label");
  }
}
