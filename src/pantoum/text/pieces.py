"""Cutting a text into pieces by a regular expression, block by block, and counting different pieces.

A pattern here matches every character of a text (or, white space aside, every other one), and each match is
decided by its own characters and the one after it. So of a block's pieces only the last can be changed by
what follows: it is held back and read again with the next block. A run without end is cut by the
pattern itself, at 65,536 characters (64 KB of ASCII).

``PieceCounter`` gives each piece a provisional number when it is first seen. Its table is bounded: beyond
600,000 pieces (or 24 million characters of them) it keeps the more frequent half, gives up on
provisional numbers (``exact`` is false: the text must then be read a second time) and goes on counting. A
piece that was dropped and returns counts anew; what a vocabulary keeps is far too frequent to be dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pantoum.text.numbers import Numbers

__all__ = ["LONGEST", "PieceCounter", "Splitter"]

LONGEST = 1 << 16
"""Most characters of a piece."""
MOST_PIECES = 600_000
MOST_CHARACTERS = 24_000_000


class Splitter:
    """Cuts a text that comes in blocks."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._findall = pattern.findall
        self.rest = ""
        """The last piece so far, which may go on."""

    def push(self, block: str) -> list[str]:
        """The pieces that are decided by now."""
        text = self.rest + block
        pieces: list[str] = self._findall(text)
        if not pieces:
            self.rest = ""
            return []
        # Where white space is dropped, one space says that the last piece has ended.
        last = pieces.pop()
        self.rest = last if text.endswith(last) else last + " "
        return pieces

    def finish(self) -> list[str]:
        """The last pieces."""
        pieces: list[str] = self._findall(self.rest)
        self.rest = ""
        return pieces


class Numbering(dict[str, int]):
    """Numbers pieces in the order in which they are first asked for."""

    characters = 0
    """How long all pieces are together."""

    def __missing__(self, piece: str) -> int:
        number = self[piece] = len(self)
        self.characters += len(piece)
        return number


class PieceCounter:
    """Counts the pieces of a text and numbers them on the way: the reading half of a learner."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._splitter = Splitter(pattern)
        self._table = Numbering()
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self.exact = True
        """Whether every provisional number given still stands."""

    @property
    def rest(self) -> str:
        """The end of what was fed that has no number yet."""
        return self._splitter.rest

    def feed(self, block: str) -> Numbers:
        """Count a block; the provisional numbers of its pieces while ``exact``, else none."""
        numbers = self._number(self._splitter.push(block))
        if len(self._table) > MOST_PIECES or self._table.characters > MOST_CHARACTERS:
            self._keep_the_frequent_half()
        return numbers if self.exact else numbers[:0]

    def counted(self) -> tuple[list[str], NDArray[np.int64]]:
        """All pieces in the order of their provisional numbers, and how often each came. The end of the text
        is counted too, and what was fed is then closed."""
        self._number(self._splitter.finish())
        return list(self._table), self._counts

    def _number(self, pieces: list[str]) -> NDArray[np.uint32]:
        numbers = np.fromiter(map(self._table.__getitem__, pieces), np.uint32, len(pieces))
        counts = np.bincount(numbers, minlength=len(self._table))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        return numbers

    def _keep_the_frequent_half(self) -> None:
        """Drop the rarer pieces, until half of both bounds is free again. Ties are kept in order of
        appearance, so the same text gives the same table."""
        self.exact = False
        pieces = list(self._table)
        order = np.argsort(-self._counts, kind="stable")[: MOST_PIECES // 2]
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))[order]
        order = order[np.cumsum(lengths) <= MOST_CHARACTERS // 2]
        self._counts = self._counts[order]
        self._table = Numbering()
        for number in order.tolist():
            self._table[pieces[number]]


def most_frequent(pieces: list[str], counts: NDArray[np.int64], most: int) -> Iterator[str]:
    """At most ``most`` pieces, most frequent first, ties by code point. Those that cannot be among them are
    never sorted."""
    candidates = np.flatnonzero(counts)
    if len(candidates) > most:
        least = np.partition(counts[candidates], len(candidates) - most)[len(candidates) - most]
        candidates = candidates[counts[candidates] >= least]
    ranked = sorted(candidates.tolist(), key=lambda number: (-counts[number], pieces[number]))
    return (pieces[number] for number in ranked[:most])
