"""Two words need something between them: which tokens of ``words`` cannot follow which.

A piece of ``words`` takes a word whole, so after a piece that ends with a letter or a digit no text goes on
with a piece that begins with one. A model gives such pairs little probability, but not none, and a text in
which one is drawn shows two words as one. A draw that makes such a pair is made again among the other tokens.

Shapes: V symbols, B rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pantoum.kernels import Array
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
