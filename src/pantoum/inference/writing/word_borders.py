"""Two words need something between them: which tokens of ``words`` cannot follow which.

A piece of ``words`` takes a word whole, so after a piece that ends with a letter or a digit no text goes on
with a piece that begins with one. A model gives such pairs little probability, but not none, and a text in
which one is drawn shows two words as one. A draw that makes such a pair is made again among the other tokens.

Shapes: V symbols, B rows that are drawn together, R rows of a batch, C rows of logits, W recent tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pantoum.inference.writing.adjusted import log_probabilities
from pantoum.kernels import Array, DrawRows
from pantoum.kernels.interface import Sampler
from pantoum.text.word import WordTokenizer

__all__ = ["WordBorders"]

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class WordBorders:
    """The edges of all tokens."""

    begins_V: Flags
    """Whether a token begins with a letter or a digit."""
    ends_V: Flags
    """Whether a token ends with one."""

    @staticmethod
    def of(tokenizer: WordTokenizer, banned: Sequence[int]) -> WordBorders | None:
        """Those of a tokenizer of ``words``; ``None`` if nothing else could be drawn. ``banned``: tokens that
        are never drawn."""
        begins_V, ends_V = tokenizer.within_words
        others_V = ~begins_V
        others_V[list(banned)] = False
        return WordBorders(begins_V, ends_V) if others_V.any() else None

    def joined(self, before_B: Array, after_B: Array) -> list[int]:
        """The rows in which a token continues the word of the token before it."""
        found: list[int] = np.flatnonzero(self.ends_V[before_B] & self.begins_V[after_B]).tolist()
        return found

    def sampler(self, sampler: Sampler, rows: DrawRows, logits_CV: Array) -> Sampler:
        """A sampler that draws as this one does for these rows, but never continues a word."""
        return _WordSampler(self, sampler, rows, logits_CV)


class _WordSampler:
    """Draws again where two words would be written as one."""

    def __init__(self, borders: WordBorders, sampler: Sampler, rows: DrawRows, logits_CV: Array) -> None:
        self._borders, self._sampler, self._rows, self._logits_CV = borders, sampler, rows, logits_CV

    def draw(self, first: int, count: int) -> None:
        """One token for each of these rows, as ``Sampler`` says."""
        at, rows = slice(first, first + count), self._rows
        before_B, recent_RW = rows.tokens[at].copy(), rows.recent_RW
        recent_BW = None if recent_RW is None else recent_RW[at].copy()
        self._sampler.draw(first, count)
        for place in self._borders.joined(before_B, rows.tokens[at]):
            if recent_RW is not None and recent_BW is not None:
                recent_RW[first + place] = recent_BW[place]
            self._draw_again(first + place, self._logits_CV[place])

    def _draw_again(self, row: int, logits_V: Array) -> None:
        """Another token in the place of one that continues a word: by a random number of its own, from what
        the model gives the others."""
        rows = self._rows
        own_V = log_probabilities(logits_V)
        rows.position[row] -= np.uint64(1)
        rows.written[row] -= 1
        rows.nats[row] += rows.log_probability[row]
        stream = rows.stream[row]
        rows.stream[row] = ~stream
        np.copyto(self._logits_CV[0], logits_V)
        self._logits_CV[0][self._borders.begins_V] = -np.inf
        self._sampler.draw(row, 1)
        rows.stream[row] = stream
        given, own = float(rows.log_probability[row]), float(own_V[rows.tokens[row]])
        rows.log_probability[row] = own
        rows.nats[row] += given - own
