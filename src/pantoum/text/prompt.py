"""A prompt brought near to what a model knows, and what could not be, said once.

People type ’ where a model learned ', or é where it learned e. A symbol (a character, or a word) that the
vocabulary lacks is replaced by a near one: a typographic sign by its plain form, a compatibility form by the
usual one, a letter by itself without accents. What stays unknown becomes ``<unk>``, and a note names it, each
symbol once. Nothing is refused: a prompt may be empty, long, no UTF-8, or full of control characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import AnyStr

from pantoum.text.documents import BORDER_SIGN, borders, mark, sign_of
from pantoum.text.numbers import Tokens, UnknownCount, joined
from pantoum.text.tokenizer import Tokenizer
from pantoum.text.unicode import without_surrogates

NAMED = 8
"""Symbols that a note names before it says how many more there are."""
PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´ʼ‹›", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict(zip("•·×⁄¿¡øØđĐðÐłŁıħĦ", "*.x/?!oOdDdDlLihH", strict=True)),
        **dict(zip("…ßẞæÆœŒþÞ", ("...", "ss", "SS", "ae", "AE", "oe", "OE", "th", "Th"), strict=True)),
        **dict(zip("\t\u2028\u2029", " \n\n", strict=True)),
        **dict.fromkeys("\r\ufeff\u200b\u200d\u00ad", ""),
    }
)


def space_held(tokenizer: Tokenizer, text: AnyStr, pending: bytes) -> tuple[AnyStr, bytes | None]:
    """The text to be encoded after one that left ``pending``, and what is pending after it; ``None``: what
    its tokens leave.

    Where a word brings the space before it, a space at the end of a text waits for that word: it comes with
    the next text, or the model writes the word and its decoder leaves the space out. Where decoding puts the
    spaces, one at the end is the one that would be owed before the next word."""
    space, spaces = " " if isinstance(text, str) else b" ", tokenizer.declared.spaces
    if spaces == "before":
        text = space * (pending == b" ") + text
        return (text[:-1], b" ") if text.endswith(space) else (text, None)
    return text, b"" if spaces == "between" and text.endswith(space) else None


def encode_prompt(tokenizer: Tokenizer, text: str | bytes) -> tuple[Tokens, list[str]]:
    """The numbers of a prompt, and notes on what was replaced and what stays unknown."""
    notes: list[str] = []
    if isinstance(text, bytes):
        if tokenizer.encoding == "latin-1":
            return tokenizer.encode(text), notes
        readable = text.decode("utf-8", "replace")
        if readable.encode("utf-8") != text:
            notes.append("the prompt is not UTF-8: invalid bytes were replaced by U+FFFD")
    else:
        readable, notes = without_surrogates(text)
    if tokenizer.unk is None:
        return tokenizer.encode(readable), notes
    marked = mark(readable, tokenizer.documents)
    lacking = UnknownCount()
    tokens = joined(tokenizer.encode_blocks([marked], lacking))
    if not lacking.count:
        return tokens, notes
    marked, folded, unknown = _fold(tokenizer, marked)
    if folded:
        notes.append(
            "not in the model's vocabulary, read as the nearest: "
            + _named([f"{_quoted(symbol)} as {_quoted(near)}" for symbol, near in folded.items()])
        )
    if unknown:
        notes.append("not in the model's vocabulary, read as unknown: " + _named(list(map(_quoted, unknown))))
    return joined(tokenizer.encode_blocks([marked])), notes


def prompt_places(tokenizer: Tokenizer, text: str, tokens: Tokens) -> list[int]:
    """Where in a prompt each of its tokens begins, in characters. A symbol that was folded or is unknown does
    not read as it stands there."""
    readable, _ = without_surrogates(text)
    if tokenizer.unk is not None:
        marked, replaced = mark(readable, tokenizer.documents), iter(borders(readable, tokenizer.documents))
        read, folded, _ = _fold(tokenizer, marked)
        origins, at = list[int](), 0  # of the characters that are read; a fold may join two words
        for symbol in _symbols(tokenizer, marked):
            near, own = folded.get(symbol, symbol), symbol
            if symbol == BORDER_SIGN:
                own = next(replaced, symbol)
            origins += range(at, at + len(near)) if near == own else [at] * len(near)
            at += len(own)
        places, begin = list[int](), 0
        for length, count in tokenizer.token_lengths(read):
            places += [origins[begin] if begin < len(origins) else at] * count
            begin += length
        if len(places) == len(tokens):
            return places
    decoder = tokenizer.decoder()
    ends = accumulate((len(decoder.push(token)) for token in tokens.tolist()), initial=0)
    return [min(end, len(text)) for end in ends][:-1]


def _symbols(tokenizer: Tokenizer, marked: str) -> list[str]:
    """The pieces of a text that are encoded apart."""
    places = accumulate((length for length, _ in tokenizer.token_lengths(marked)), initial=0)
    return [marked[start:end] for start, end in pairwise(places)]


def _fold(tokenizer: Tokenizer, marked: str) -> tuple[str, dict[str, str], list[str]]:
    """The text in symbols that are known where near ones are, which those are, and which stay unknown."""
    symbols = _symbols(tokenizer, marked)
    folded: dict[str, str] = {}
    unknown: list[str] = []
    for symbol in dict.fromkeys(symbols):
        if symbol == sign_of(tokenizer.documents) or _known(tokenizer, symbol):
            continue
        near = next((form for form in _near(symbol) if _known(tokenizer, form)), None)
        if near is None:
            unknown.append(symbol)
        else:
            folded[symbol] = near
    return "".join(folded.get(symbol, symbol) for symbol in symbols), folded, unknown


def _near(symbol: str) -> Iterator[str]:
    """Plainer and plainer forms of a symbol. One that is nothing but an accent ends as nothing."""
    yield symbol.translate(PLAIN)
    usual = unicodedata.normalize("NFKC", symbol)
    yield usual
    yield usual.translate(PLAIN)
    bare = "".join(c for c in unicodedata.normalize("NFKD", symbol) if not unicodedata.combining(c))
    yield bare
    plainest = bare.translate(PLAIN)
    yield plainest
    yield plainest.replace('"', "'")


def _known(tokenizer: Tokenizer, symbol: str) -> bool:
    lacking = UnknownCount()
    joined(tokenizer.encode_blocks([symbol], lacking))
    return not lacking.count


def _quoted(symbol: str) -> str:
    """A symbol as notes show it, without the white space that ``words:whitespace`` counts to a word."""
    return repr(symbol.rstrip() or symbol)


def _named(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - NAMED:,} more" if len(symbols) > NAMED else ""
    return ", ".join(symbols[:NAMED]) + more
