// Token numbers back to text, one at a time. What is pending is a character that is not whole, or a space that the text
// has already (or that is owed): it belongs to the state of a session.

import { EOS, fromUtf8, unfinished } from "./signs.js";

const SPACE = Uint8Array.of(32);
const NOTHING = new Uint8Array();

/** @typedef {{push(token: number): string, finish(): string, readonly pending: Uint8Array}} Decoder */

/** For tokens that are pieces of text. */
export class TextDecoding {
  /**
   * @param {string[]} pieces
   * @param {Uint8Array} pending
   */
  constructor(pieces, pending = NOTHING) {
    this._pieces = pieces;
    this._spaced = pending.length > 0;
  }
  /** @param {number} token */
  push(token) {
    const text = this._pieces[token];
    const spaced = this._spaced;
    this._spaced = false;
    return spaced && text.startsWith(" ") ? text.slice(1) : text;
  }
  finish() {
    return "";
  }
  get pending() {
    return this._spaced ? SPACE : NOTHING;
  }
}

/** For words that were split at white space: a space between two of them is owed. */
export class SpacedDecoding extends TextDecoding {
  /** @param {number} token */
  push(token) {
    const owed = this._spaced;
    this._spaced = token !== EOS;
    return owed && this._spaced ? ` ${this._pieces[token]}` : this._pieces[token];
  }
  finish() {
    this._spaced = false;
    return "";
  }
}

/** For tokens that are bytes. */
export class ByteDecoding {
  /**
   * @param {Uint8Array[]} pieces
   * @param {Uint8Array} pending
   */
  constructor(pieces, pending = NOTHING) {
    this._pieces = pieces;
    this._spaced = pending.length === 1 && pending[0] === 32;
    this._bytes = this._spaced ? NOTHING : pending;
  }
  /** @param {number} token */
  push(token) {
    let piece = this._pieces[token];
    if (this._spaced) {
      this._spaced = false;
      if (piece[0] === 32) piece = piece.subarray(1);
    }
    const all = new Uint8Array(this._bytes.length + piece.length);
    all.set(this._bytes);
    all.set(piece, this._bytes.length);
    const end = all.length - unfinished(all);
    this._bytes = all.slice(end);
    return fromUtf8(all.subarray(0, end));
  }
  finish() {
    const text = fromUtf8(this._bytes);
    this._bytes = NOTHING;
    this._spaced = false;
    return text;
  }
  get pending() {
    return this._spaced ? SPACE : this._bytes;
  }
}
