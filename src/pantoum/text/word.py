"""Words as tokens: ``words`` gives the text back; ``words:whitespace`` reads pre-tokenised corpora.

``words``: pieces are a word with the space before it, a sign that is no letter with the space before it, or
one white space (``re.findall(r" ?\\w+| ?[^\\w\\s]|\\s", text)``), so that joining them gives the text.
``words:whitespace``: pieces are what is between white space, and ``<eos>`` ends each line, as in published
figures on WikiText-2 and PTB. The ``<unk>`` that such a corpus contains is a word of it, which has the number
of ``<unk>`` and is not counted as unknown. Decoding puts single spaces between words.

Numbers: 0 ``<eos>``, 1 ``<unk>``, then the most frequent pieces, ties by code point. A word of more than
65,536 characters is cut there. What a letter is (``\\w``) is Python's Unicode tables' word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from pantoum.config.plain import Plain
from pantoum.errors import SettingError
from pantoum.text.decoder import Decoder, SpacedDecoder
from pantoum.text.documents import BORDER_SIGN, sign_of
from pantoum.text.numbers import EOS, UNK, Ids, Numbers, UnknownCount, whole_numbers
from pantoum.text.pieces import LONGEST, PieceCounter, chunks, most_frequent
from pantoum.text.tokenizer import (
    MOST,
    Across,
    Tokenizer,
    WordEdges,
    listed,
    refuse,
    require_documents,
    require_keys,
    require_texts,
)

UNKNOWN = "<unk>"
"""What ``<unk>`` decodes to, and how pre-tokenised corpora write it."""
WHITESPACE = "words:whitespace"
WORDS = 20_000
"""Size of a vocabulary where none is given. A text that contains ``<unk>`` keeps all of its words: whoever
wrote ``<unk>`` into it has chosen the vocabulary."""
PATTERNS = {
    "words": re.compile(rf" ?\w{{1,{LONGEST}}}| ?[^\w\s{BORDER_SIGN}]|[\s{BORDER_SIGN}]"),
    WHITESPACE: re.compile(rf"\n|\S{{1,{LONGEST}}}"),
}

IN_WORD = re.compile(r"\w")
EDGES = slice(1), slice(-1, None)


class Lookup(dict[str, int]):
    """A vocabulary; what is not in it is ``<unk>``."""

    def __missing__(self, piece: str) -> int:
        return UNK


class WordTokenizer(Tokenizer):
    """Every word of the vocabulary a token."""

    unk = UNK

    def __init__(self, kind: str, pieces: Iterable[str], documents: str | None = None) -> None:
        self.pieces = list(pieces)
        """The vocabulary, in the order of its numbers, from 2 on."""
        super().__init__(kind, documents, [UNKNOWN, *self.pieces])
        self._table = Lookup(zip(self.pieces, range(2, self.vocab_size), strict=True))
        self._table[_eos_sign(kind, documents)] = EOS

    def __contains__(self, piece: str) -> bool:
        return piece in self._table

    def split(self, text: str) -> list[str]:
        """The pieces of a whole text, borders marked."""
        found: list[str] = PATTERNS[self.kind].findall(text)
        return found

    def encode_blocks(
        self, blocks: Iterable[str], unknown: UnknownCount | None = None, across: Across = map
    ) -> Iterator[Numbers]:
        """The numbers of the pieces of each block. ``unknown`` counts the words that the vocabulary lacks;
        the ``<unk>`` of a pre-tokenised corpus is not one of them."""
        for numbers, written in across(self._encoded, chunks(PATTERNS[self.kind], blocks)):
            if unknown is not None:
                unknown.add(numbers, written)
            yield numbers

    def token_lengths(self, text: str) -> list[tuple[int, int]]:
        """Each piece is one token; white space between two of them belongs to the first."""
        starts = [match.start() for match in PATTERNS[self.kind].finditer(text)]
        edges = [0, *starts[1:], len(text)] if starts else []
        return [(end - start, 1) for start, end in pairwise(edges)]

    def decode(self, ids: Ids) -> str:
        """The pieces, one after the other or with spaces between."""
        if self.kind != WHITESPACE:
            return super().decode(ids)
        return "".join(map(self.decoder().push, whole_numbers(ids, self.vocab_size)))

    def decoder(self, pending: bytes = b"") -> Decoder:
        """Knows of a space before the next word: one that is owed, or one that is there already."""
        decoder = SpacedDecoder if self.kind == WHITESPACE else Decoder
        return decoder(self._pieces, pending)

    def spec(self) -> dict[str, Plain]:
        """The kind, what a document is, and the pieces."""
        return {**super().spec(), "pieces": self.pieces}

    @cached_property
    def word_edges(self) -> WordEdges | None:
        """For ``words``: whether each token begins and ends with a letter or a digit, and is white space."""
        if self.kind == WHITESPACE:
            return None
        texts = [self.eos_text, "", *self.pieces]  # nothing is known of what is unknown
        begins, ends = ([IN_WORD.match(text[edge]) is not None for text in texts] for edge in EDGES)
        blank = [False, False, *map(str.isspace, self.pieces)]
        return np.array(begins), np.array(ends), np.array(blank)

    def _encoded(self, chunk: str) -> tuple[Numbers, int]:
        """The numbers of a chunk, and how many ``<unk>`` it contains as a word."""
        pieces = self.split(chunk)
        return self._look_up(pieces), pieces.count(UNKNOWN) if self.kind == WHITESPACE else 0

    def _look_up(self, pieces: list[str]) -> Numbers:
        return np.fromiter(map(self._table.__getitem__, pieces), self._dtype, len(pieces))


class WordLearner(PieceCounter):
    """Counts the words of a text."""

    def __init__(
        self, kind: str, vocab_size: int | None, documents: str | None, known: Sequence[str] = ()
    ) -> None:
        """``known``: words of a vocabulary that grows, which keep their numbers."""
        if vocab_size is not None and not 3 <= vocab_size <= MOST + 2:
            raise SettingError(
                "vocab_size",
                vocab_size,
                f"must be from 3 (<eos>, <unk> and one word) to {MOST + 2:,}",
                "give one in between, or none",
            )
        super().__init__(PATTERNS[kind])
        self._kind, self._vocab_size, self._documents = kind, vocab_size, documents
        self._known = list(known)
        self._numbers: Numbers = np.zeros(0, np.uint32)
        self._written = -1
        """The provisional number of the ``<unk>`` that a pre-tokenised corpus contains; -1: of none."""

    def learn(self) -> WordTokenizer:
        """Those known and the most frequent of the others; of two equally frequent ones the lower in code
        points comes first."""
        pieces, counts = self.counted()
        special = {_eos_sign(self._kind, self._documents), *self._known}
        if self._kind == WHITESPACE:
            special.add(UNKNOWN)
        for number, piece in enumerate(pieces):
            if piece in special:
                counts[number] = 0
            if piece == UNKNOWN and self._kind == WHITESPACE:
                self._written = number
        whole = MOST + 2 if self._written >= 0 else WORDS
        most = (whole if self._vocab_size is None else self._vocab_size) - 2
        new = most_frequent(pieces, counts, max(0, most - len(self._known)))
        tokenizer = WordTokenizer(self._kind, [*self._known, *new], self._documents)
        self._numbers = tokenizer._look_up(pieces)
        return tokenizer

    def tokens(self, numbers: Numbers, unknown: UnknownCount | None = None) -> Numbers:
        """The numbers of the learned tokenizer for provisional ones."""
        tokens = self._numbers.take(numbers)
        if unknown is not None:
            unknown.add(tokens, int(np.count_nonzero(numbers == self._written)) if self._written >= 0 else 0)
        return tokens


def _eos_sign(kind: str, documents: str | None) -> str:
    return "\n" if kind == WHITESPACE else sign_of(documents)


def learner(
    kind: str, size: int | None, documents: str | None, known: Tokenizer | None = None
) -> WordLearner:
    """What learns the words of a text; ``size``: at most so many numbers; ``known``: it adds to these."""
    words: Any = () if known is None else known.spec()["pieces"]
    return WordLearner(kind, size, documents, words)


def declared_size(spec: Mapping[str, Any]) -> int:
    """The size that a spec speaks of."""
    return len(listed(spec, "pieces")) + 2


def from_spec(spec: Mapping[str, Any]) -> WordTokenizer:
    """The inverse of ``WordTokenizer.spec``."""
    require_keys(spec, "kind", "documents", "pieces")
    kind, documents, pieces = spec["kind"], require_documents(spec), require_texts(spec["pieces"])
    if kind == WHITESPACE and documents not in (None, "lines"):
        raise refuse(f"has documents {documents} with {kind}, which knows lines only")
    if _eos_sign(kind, documents) in pieces:
        raise refuse("has its documents' border among its pieces")
    return WordTokenizer(kind, pieces, documents)
