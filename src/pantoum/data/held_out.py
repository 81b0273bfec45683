"""Which part of a text is held out: its last characters, or whole documents.

**One stream.** Training is the first ``floor(N * (1 - F))`` of N characters (bytes for ``bytes``), or more:
at most 200,000 tokens are held out, and at most 2,000,000 characters. So where N F is more than that, the
held-out part is the last pieces of the text that make at most 200,000 tokens. N is known when the text has
been read; until then only the end that may be held out is kept back, and everything before it is passed on.

**Documents.** With F = p/q in lowest terms (0.1 is 1/10, 0.25 is 1/4) document i is held out when
``crc32(i) % (q k) < p``, i counted from 0 and written in decimal digits: for 0.1, when it is divisible by
10. k is ``ceil(F * bytes / 200,000)``, at least 1: from a large text every k-th of these documents, spread
over all of it and not only from its beginning. Should they still exceed 200,000 characters, the document
that does is cut there, its rest is not used, and all later ones are learned from.

Both work on text with borders marked, and are used once. F = 0 holds out nothing.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TypeAlias

from pantoum.text.tokenizer import Tokenizer

MOST_TOKENS = 200_000
MOST_CHARACTERS = 2_000_000
FINEST = 1_000_000
"""The largest denominator of a share of documents: far below the 2**32 values of a hash."""


class Tail:
    """Holds out the end of a text."""

    def __init__(self, fraction: float, single: bool) -> None:
        """``single``: whether each token is one character."""
        self.notes: list[str] = []
        self.held = ""
        """What is held out."""
        self._fraction = Fraction(str(fraction))
        self._exact = single
        self._most = (MOST_TOKENS if single else MOST_CHARACTERS) if fraction else 0

    def training(self, blocks: Iterable[str]) -> Iterator[str]:
        """What is learned from: every block but those at the end that may be held out, while the text is
        read; then the part of the end that is not."""
        back: deque[str] = deque()
        length = total = 0
        for block in blocks:
            back.append(block)
            length += len(block)
            total += len(block)
            while back and length - len(back[0]) >= self._most:
                length -= len(back[0])
                yield back.popleft()
        self.held = "".join(back)
        first = int(total * (1 - self._fraction))  # floor: it is not negative
        yield self._move(len(self.held) - min(total - first, self._most))

    def too_much(self, tokenizer: Tokenizer) -> str:
        """What is learned from too, because otherwise too many tokens would be held out."""
        return "" if self._exact else self._move(last_tokens(tokenizer.token_lengths(self.held), MOST_TOKENS))

    def _move(self, length: int) -> str:
        moved, self.held = self.held[:length], self.held[length:]
        return moved


class Documents:
    """Holds out whole documents, spread over the text by a hash of their index.

    ``only`` names the one document to hold out, whatever its hash.
    """

    def __init__(self, fraction: float, sign: str, size: int, only: int | None = None) -> None:
        share = Fraction(str(fraction)).limit_denominator(FINEST)
        factor = max(1, -(-share * size // MOST_TOKENS))
        self._below, self._modulus = share.numerator, share.denominator * factor
        self._sign, self._only = sign, only
        self.notes: list[str] = []
        self._index = 0
        self._parts: list[str] = []
        self._room = MOST_TOKENS
        self._lowest = (1 << 32, 0)
        self._characters = 0
        self._ended = 0
        """Documents that are not empty and have ended."""

    @property
    def held(self) -> str:
        """What is held out."""
        return "".join(self._parts)

    @property
    def forgotten(self) -> bool:
        """Whether nothing is held out although something could be: the documents are few."""
        several = self._ended + (self._characters > 0) > 1
        return bool(self._below) and self._only is None and several and not self._parts

    @property
    def lowest(self) -> int:
        """The document, among those that were ended by a border, whose hash is lowest."""
        return self._lowest[1]

    def training(self, blocks: Iterable[str]) -> Iterator[str]:
        """The text without the documents that are held out."""
        inside = self._is_held()
        for block in blocks:
            parts = block.split(self._sign)
            rest: list[str] = []
            for place, part in enumerate(parts):
                if place:
                    if self._characters:  # an empty document says nothing
                        self._lowest = min(self._lowest, (_hash(self._index), self._index))
                        self._ended += 1
                    self._index += 1
                    self._characters = 0
                    inside = self._is_held()
                self._characters += len(part)
                text = part + self._sign if place < len(parts) - 1 else part
                if inside:
                    self._hold(text)
                else:
                    rest.append(text)
            yield "".join(rest)

    def too_much(self, tokenizer: Tokenizer) -> str:
        """Nothing: documents are cut while they are read."""
        return ""

    def _is_held(self) -> bool:
        if self._only is not None:
            return self._index == self._only
        return self._room > 0 and _hash(self._index) % self._modulus < self._below

    def _hold(self, text: str) -> None:
        if len(text) > self._room and self._room:
            self.notes.append(
                f"document {self._index} is cut at {MOST_TOKENS:,} held-out characters; its rest is not used"
            )
        self._parts.append(text[: self._room])
        self._room -= len(text[: self._room])


Split: TypeAlias = Tail | Documents


def _hash(index: int) -> int:
    return zlib.crc32(b"%d" % index)


def last_tokens(lengths: Sequence[tuple[int, int]], most: int) -> int:
    """Characters before the last pieces that make at most ``most`` tokens together."""
    excess = sum(tokens for _, tokens in lengths) - most
    before = 0
    for characters, tokens in lengths:
        if excess <= 0:
            break
        before += characters
        excess -= tokens
    return before
