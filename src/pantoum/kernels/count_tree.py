"""Counted n-grams as the kernels look them up: contexts of 1, 2, ... tokens and their continuations.

``network.mixers.counted_ngrams`` makes it, from numbers that it checks, and says what the numbers mean.

Shapes: V symbols, K tokens of context at most, M contexts of one length that occurred, C continuations of all
of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from pantoum.kernels.types import Array

__all__ = ["SIZES", "ContextsOfLength", "CountTree"]

SIZES = 8
"""Classes of contexts of one length, by how often they occurred: once, twice, up to 4, 8, 16, ... times."""


@dataclass(frozen=True, eq=False)
class ContextsOfLength:
    """The contexts of one length."""

    starts: Array
    """Where the continuations of each context begin [M + 1], int32."""
    tokens_C: Array
    """The last token of each continuation, uint32; within a context ascending."""
    shares_C: Array
    """The probability of each by this length alone, float32."""
    left_M: Array
    """What each context leaves to the shorter ones, float32."""
    sizes_M: Array
    """A class of how often each occurred, int8; -1: nothing followed."""


@dataclass(frozen=True, eq=False)
class CountTree:
    """Contexts of all lengths. A continuation is the context of the next length that has its number."""

    unigrams_V: Array
    """The probabilities after no context, float32."""
    lengths: tuple[ContextsOfLength, ...]
    """Contexts of 1, ..., K tokens; those of 1 are all symbols."""
    shortest: int
    """The class of contexts of which nothing occurred."""
