"""The vocabulary of a model of another program: a tokenizer of ours, and the number there of each token.

A file of a vocabulary is JSON (a list of tokens, or an object from tokens to numbers or from numbers to
tokens) or a text with one token per line, in which a line ``\\n``, ``\\t`` or ``\\r`` is that character. A
model of 256 or 257 symbols without one has bytes. The file is read in another process
(``seams.read_apart``), which sends the tokens as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from pantoum.errors import FormatError
from pantoum.seams import (
    TOKEN_KINDS,
    Array,
    BadFileError,
    Tokenizer,
    TokenKind,
    bounded,
    check_tokens,
    declared_size,
    from_spec,
    read_apart,
    require,
)

__all__ = ["Vocabulary", "reader", "vocabulary_of"]

MOST_BYTES = 64 << 20
ENDS = ("<eos>", "</s>", "<|endoftext|>", "[EOS]", "<EOS>")
UNKNOWN = ("<unk>", "[UNK]", "<UNK>", "<|unk|>")
LEARNED = [kind for kind in TOKEN_KINDS.values() if kind.size == "vocab_size"]
"""The kinds whose tokens a list may give."""
WRITTEN = {"\\n": "\n", "\\t": "\t", "\\r": "\r"}


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A tokenizer, and the number there of each of its tokens; -1: none."""

    tokenizer: Tokenizer
    numbers_V: Array
    left_out: tuple[str, ...] = ()
    """Tokens of the other program that no tokenizer of ours can have."""


def vocabulary_of(
    size: int, file: Path | None, kind: str | None, spec: dict[str, Any] | None = None
) -> Vocabulary:
    """The vocabulary of a model of ``size`` symbols. ``spec``: what the file of the model says itself."""
    if file is None and kind is None and spec is not None:
        require(
            declared_size(spec) == size,
            "file",
            f"{size} symbols",
            "must have as many as the tokenizer in it",
            "use another copy",
        )
        return Vocabulary(from_spec(spec), np.arange(size))
    declared = None if kind is None else check_tokens(kind)
    if file is None:
        rule = f"is missing: the model has {size:,} symbols, and does not say which"
        bytes_only = size in (256, 257) and (declared is None or declared.unit == "byte")
        require(bytes_only, "vocabulary", None, rule, "give --vocabulary FILE, its tokens in their order")
        tokenizer = from_spec({"kind": "bytes", "documents": None})
        first = 256 if size == 257 else -1
        return Vocabulary(tokenizer, np.concatenate([[first], np.arange(256)]))
    tokens = _read(file)
    require(
        len(tokens) == size,
        "vocabulary",
        str(file),
        f"must have as many tokens as the model has symbols, {size:,}, not {len(tokens):,}",
        "give the file that it was trained with",
    )
    single = sum(len(token) == 1 for token in tokens)
    if declared is None:
        likely = (each.single if 2 * single > size else each.ends_lines for each in LEARNED)
        declared = LEARNED[list(likely).index(True)]
    return _numbered(tokens, declared)


def _read(file: Path) -> list[str]:
    """The tokens of a file in the order of their numbers."""
    with bounded.opened(file, FormatError):
        pass
    name, subject = f"{__name__}:reader", f"cannot use the vocabulary {str(file)!r}"
    blocks = read_apart(name, [], [file], subject, "give the tokens in their order", FormatError)
    tokens: Any = json.loads(b"".join(blocks))
    return [str(token) for token in tokens]


def reader() -> Callable[[IO[bytes]], Iterator[bytes]]:
    """What reads such files."""
    return lambda file: iter([json.dumps(_tokens(file.read(MOST_BYTES + 1))).encode()])


def _tokens(data: bytes) -> list[str]:
    if len(data) > MOST_BYTES:
        raise BadFileError(f"it has more than {MOST_BYTES >> 20} MiB")
    text = data.decode("utf-8", "surrogateescape")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, (list, dict)):
        lines = text.removeprefix("\ufeff").split("\n")
        lines = lines[:-1] if lines[-1] == "" else lines
        return [WRITTEN.get(line, line) for line in (line.removesuffix("\r") for line in lines)]
    if isinstance(found, dict):
        pairs = {name: number for name, number in found.items() if isinstance(number, int)}
        if not pairs:
            pairs = {token: int(number[:20]) for number, token in found.items() if number.isdecimal()}
        found = sorted(pairs, key=pairs.__getitem__)
        if [pairs[token] for token in found] != list(range(len(found))):
            raise BadFileError(
                "it must number its tokens from 0 on, without gaps", "give every token its number"
            )
    if not all(isinstance(token, str) for token in found):
        raise BadFileError("it must be a list of strings")
    return list(found)


def _numbered(tokens: list[str], kind: TokenKind) -> Vocabulary:
    """The tokenizer of such tokens."""
    *others, last = [each.name for each in LEARNED]
    rule = f"must be {', '.join(others)} or {last} with a vocabulary"
    require(kind in LEARNED, "tokens", kind.written, rule, "leave it out")
    places: dict[str, int] = {}
    for number, token in enumerate(tokens):
        rule = "is in the vocabulary twice"
        require(token not in places, "vocabulary", token, rule, "give every symbol a different token")
        places[token] = number
    ends = ("\n", *ENDS) if kind.ends_lines else ENDS
    special = [next((places.pop(name) for name in names if name in places), -1) for names in (ends, UNKNOWN)]
    fits = (lambda token: len(token) == 1) if kind.single else bool
    others = [token for token in places if not fits(token)]
    for slot in (1, 0):  # what can be no token of ours, padding for example, takes a free number
        if special[slot] < 0 and others:
            special[slot] = places.pop(others.pop(0))
    left_out = tuple(others)
    pieces = [token for token in places if token not in left_out]
    spec: dict[str, Any] = {"kind": kind.name, "documents": None}
    spec |= {"characters": "".join(pieces)} if kind.single else {"pieces": pieces}
    numbers = [*special, *(places[piece] for piece in pieces)]
    return Vocabulary(from_spec(spec), np.array(numbers), left_out)
