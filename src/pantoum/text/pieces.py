"""Cutting a text into pieces by a regular expression, chunk by chunk, and counting different pieces.

A pattern here matches every character of a text (or, white space aside, every other one), and white space
stands in a piece only at its beginning, or if the piece is nothing else. So a piece always ends where white
space begins, whatever is before and after it: a text that is cut there has the same pieces in its parts, and
each part (``chunks``) can be split by itself, in another process too. A block without such a place is cut
before its last piece: each match is decided by its own characters and the one after it, so that only the last
one can be changed by what follows. A run without end is cut by the pattern itself, at 65,536
characters (64 KB of ASCII).

``PieceCounter`` gives each piece a provisional number when it is first seen. Its table is bounded: beyond
600,000 pieces (or 24 million characters of them) it keeps the more frequent half, gives up on
provisional numbers (``exact`` is false: the text must then be read a second time) and goes on counting. A
piece that was dropped and returns counts anew; what a vocabulary keeps is far too frequent to be dropped.

What is costly is done for each chunk alone, by ``across``. The results are combined in the order of the text,
so they do not depend on which process has made them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pantoum.text.numbers import Numbers, smallest_dtype
from pantoum.text.tokenizer import Across, TokenLearner

LONGEST = 1 << 16
"""Most characters of a piece."""
MOST_HELD = 2 * LONGEST
"""Characters without a place to cut at, from which the last piece is looked for."""
MOST_PIECES = 600_000
MOST_CHARACTERS = 24_000_000
WHITE_SPACE_BEGINS = re.compile(r"\S\s")
LOOKED_AT = (1 << 8, 1 << 12)
"""Characters at the end of a block in which a place to cut is looked for first."""


class Cutter:
    """Cuts a text that comes in blocks where a piece ends for certain."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self.rest = ""
        """The end of the text so far, whose pieces may be changed by what follows."""

    def push(self, block: str) -> str:
        """The text that is decided by now; may be empty."""
        text = self.rest + block
        end = _last_border(text)
        if not end and len(text) >= MOST_HELD:
            end = self._last_piece(text)
        self.rest = text[end:]
        return text[:end]

    def _last_piece(self, text: str) -> int:
        """Where the last piece begins, in a text without a better place to cut. How a run of white space is
        split depends on whether something else follows it, so both stay together."""
        last = deque(self._pattern.finditer(text), 2)
        if not last or last[-1].end() < len(text):
            return len(text)  # it ends with white space that the pattern leaves out
        starts = (match.start() for match in reversed(last))
        return next((at for at in starts if text[at].isspace() or not text[at - 1 : at].isspace()), 0)


def chunks(pattern: re.Pattern[str], blocks: Iterable[str]) -> Iterator[str]:
    """A text in parts that can be split each by itself; none is empty."""
    cutter = Cutter(pattern)
    yield from filter(None, map(cutter.push, blocks))
    if cutter.rest:
        yield cutter.rest


def _last_border(text: str) -> int:
    """The last place where white space begins after something else; 0 where there is none."""
    for size in (*LOOKED_AT, len(text)):
        last = deque(WHITE_SPACE_BEGINS.finditer(text, max(0, len(text) - size)), 1)
        if last:
            return last[0].start() + 1
        if size >= len(text):
            break
    return 0


class Numbering(dict[str, int]):
    """Numbers pieces in the order in which they are first asked for."""

    characters = 0
    """How long all pieces are together."""

    def __missing__(self, piece: str) -> int:
        number = self[piece] = len(self)
        self.characters += len(piece)
        return number


def numbered(pattern: re.Pattern[str], chunk: str) -> tuple[list[str], Numbers]:
    """The different pieces of a chunk in the order in which they first come, and the place in this list of
    each of its pieces."""
    table = Numbering()
    pieces = pattern.findall(chunk)
    numbers = np.fromiter(map(table.__getitem__, pieces), np.uint32, len(pieces))
    return list(table), numbers.astype(smallest_dtype(len(table)), copy=False)


class PieceCounter(TokenLearner):
    """Counts the pieces of a text and numbers them on the way: the reading half of a learner."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self._cutter = Cutter(pattern)
        self._table = Numbering()
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self.exact = True
        """Whether every provisional number given still stands."""

    @property
    def rest(self) -> str:
        """The end of what was fed that has no number yet."""
        return self._cutter.rest

    def feed(self, block: str) -> Numbers:
        """Count a block; the provisional numbers of its pieces while ``exact``, else none."""
        pieces = self._pattern.findall(self._cutter.push(block))
        numbers = self._number(pieces)
        return self._counted(numbers, np.bincount(numbers, minlength=len(self._table)))

    def feed_all(self, blocks: Iterable[str], across: Across = map) -> Iterator[Numbers]:
        """The same for blocks one after the other; ``across`` splits and counts each of them."""
        if across is map:  # a table for each chunk would be work for nothing
            yield from map(self.feed, blocks)
            return
        parts = filter(None, map(self._cutter.push, blocks))
        for pieces, places in across(partial(numbered, self._pattern), parts):
            own = self._number(pieces)
            times = np.zeros(len(self._table), np.int64)
            times[own] = np.bincount(places, minlength=len(pieces))
            yield self._counted(own.take(places), times)

    def counted(self) -> tuple[list[str], NDArray[np.int64]]:
        """All pieces in the order of their provisional numbers, and how often each came. The end of the text
        is counted too, and what was fed is then closed."""
        rest, self._cutter.rest = self._cutter.rest, ""
        numbers = self._number(self._pattern.findall(rest))
        self._counted(numbers, np.bincount(numbers, minlength=len(self._table)))
        return list(self._table), self._counts

    def _number(self, pieces: list[str]) -> NDArray[np.uint32]:
        return np.fromiter(map(self._table.__getitem__, pieces), np.uint32, len(pieces))

    def _counted(self, numbers: Numbers, times: NDArray[np.int64]) -> Numbers:
        """Add how often each piece of the table comes in a chunk with these numbers; the numbers while they
        stand."""
        times[: len(self._counts)] += self._counts
        self._counts = times
        if len(self._table) > MOST_PIECES or self._table.characters > MOST_CHARACTERS:
            self._keep_the_frequent_half()
        return numbers if self.exact else numbers[:0]

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
