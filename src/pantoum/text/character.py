"""Characters as tokens: the code points of the training text, most frequent first, ties by code point.

Numbers: 0 ``<eos>``, 1 ``<unk>``, then the characters. Reading is vectorised: an ASCII block goes through a
table of 256 entries at the speed of ``bytes.translate``, any other through one of all code points.
A learner's provisional numbers are the code points themselves, so a text is decoded once and its numbers
are looked up once. ``<unk>`` decodes to U+FFFD.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.config.plain import Plain
from pantoum.errors import SettingError
from pantoum.text.documents import sign_of
from pantoum.text.numbers import EOS, UNK, Numbers, UnknownCount
from pantoum.text.tokenizer import (
    Across,
    Tokenizer,
    TokenLearner,
    listed,
    refuse,
    require_documents,
    require_keys,
)
from pantoum.text.unicode import REPLACEMENT

CODE_POINTS = 0x110000


class CharacterTokenizer(Tokenizer):
    """Every character a token."""

    unk = UNK

    def __init__(self, characters: str, documents: str | None = None) -> None:
        super().__init__("characters", documents, [REPLACEMENT, *characters])
        self.characters = characters
        """The vocabulary, in the order of its numbers, from 2 on."""
        self._table = np.full(CODE_POINTS, UNK, self._dtype)
        self._table[code_points(characters)] = np.arange(2, self.vocab_size)
        self._table[ord(sign_of(documents))] = EOS
        self._bytes = self._table[:256].tobytes() if self._table.itemsize == 1 else None

    def __contains__(self, character: str) -> bool:
        return len(character) == 1 and bool(self._table[ord(character)] != UNK)

    def encode_blocks(
        self, blocks: Iterable[str], unknown: UnknownCount | None = None, across: Across = map
    ) -> Iterator[Numbers]:
        """The numbers of each block, in this process: to send a block takes longer. ``unknown`` counts the
        characters that the vocabulary lacks."""
        for block in blocks:
            numbers = self.look_up(code_points(block))
            if unknown is not None:
                unknown.add(numbers)
            yield numbers

    def look_up(self, numbers: Numbers) -> Numbers:
        """The numbers of some code points."""
        if self._bytes is not None and numbers.dtype == np.uint8:
            return np.frombuffer(numbers.tobytes().translate(self._bytes), np.uint8)
        return self._table.take(numbers)

    def spec(self) -> dict[str, Plain]:
        """What a document is, and the characters in one text."""
        return {**super().spec(), "characters": self.characters}


class CharacterLearner(TokenLearner):
    """Counts code points, which serve as provisional numbers."""

    def __init__(self, vocab_size: int | None, documents: str | None, known: str = "") -> None:
        """``known``: characters of a vocabulary that grows, which keep their numbers."""
        if vocab_size is not None and vocab_size < 3:
            raise SettingError(
                "vocab_size",
                vocab_size,
                "must be at least 3: <eos>, <unk> and one character",
                "give a larger one, or none",
            )
        self._most = CODE_POINTS if vocab_size is None else vocab_size - 2
        self._documents, self._known = documents, known
        self._counts = np.zeros(CODE_POINTS, np.int64)
        self._end = 0
        self._learned: CharacterTokenizer | None = None

    @property
    def distinct(self) -> int:
        """How many different characters there were so far."""
        return int(np.count_nonzero(self._counts[: self._end]))

    def feed(self, block: str) -> Numbers:
        """Count a block."""
        numbers = code_points(block)
        counts = np.bincount(numbers)
        self._counts[: len(counts)] += counts
        self._end = max(self._end, len(counts))
        return numbers

    def learn(self) -> CharacterTokenizer:
        """Those known and the most frequent of the others; of two equally frequent ones the lower code point
        comes first."""
        counts = self._counts.copy()
        counts[[ord(sign_of(self._documents)), *map(ord, self._known)]] = 0
        seen = np.flatnonzero(counts)
        order = seen[np.argsort(-counts[seen], kind="stable")][: max(0, self._most - len(self._known))]
        characters = self._known + order.astype("<u4").tobytes().decode("utf-32-le")
        self._learned = CharacterTokenizer(characters, self._documents)
        return self._learned

    def tokens(self, numbers: Numbers, unknown: UnknownCount | None = None) -> Numbers:
        """Code points as numbers of the learned tokenizer."""
        if self._learned is None:
            raise AssertionError("learn first")
        tokens = self._learned.look_up(numbers)
        if unknown is not None:
            unknown.add(tokens)
        return tokens


def code_points(text: str) -> NDArray[np.unsignedinteger[Any]]:
    """A text's code points (signs too), in bytes where all of them are ASCII, else as narrow as they fit."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    wide = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    return wide.astype(np.uint16) if wide.max() < 1 << 16 else wide


def learner(
    kind: str, size: int | None, documents: str | None, known: Tokenizer | None = None
) -> CharacterLearner:
    """What learns the characters of a text; ``size``: at most so many numbers; ``known``: what it adds to."""
    characters = known.characters if isinstance(known, CharacterTokenizer) else ""
    return CharacterLearner(size, documents, characters)


def declared_size(spec: Mapping[str, Plain]) -> int:
    """The size that a spec speaks of."""
    return len(listed(spec, "characters")) + 2


def from_spec(spec: Mapping[str, Plain]) -> CharacterTokenizer:
    """The inverse of ``CharacterTokenizer.spec``."""
    require_keys(spec, "kind", "documents", "characters")
    documents, characters = require_documents(spec), spec["characters"]
    if not isinstance(characters, str) or len(characters) > CODE_POINTS:
        raise refuse("has invalid characters, or too many")
    points = np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), "<u4")
    if len(set(characters)) != len(characters):
        raise refuse("has a character twice")
    if bool(((points >= 0xD800) & (points < 0xE000)).any()):
        raise refuse("has a lone surrogate among its characters")
    if sign_of(documents) in characters:
        raise refuse("has its documents' border among its characters")
    return CharacterTokenizer(characters, documents)
