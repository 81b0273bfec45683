"""N-grams of a text, counted by sorting: what ``mixers.counts.Counts`` is made of.

Each n-gram is the n-gram of one token less that begins at the same place, as a number, and its last token:
one integer of 64 bits. Sorting these gives the n-grams of the next order, in order. Two million words and
five orders take some seconds.

The counts of an order below the highest are those of Kneser and Ney (1995): the number of different tokens
that stood before the n-gram; an occurrence that nothing stands before (the beginning of the text or of a
document) counts by itself. With documents no context reaches over the beginning of one.

Where a text has too many n-grams to be kept, those of three tokens and more that occurred least are left out.
Their counts stay in the sums (``Order.lost_M``): what they said is left to shorter contexts.

Shapes: N tokens, M n-grams of one order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pantoum.kernels import Array
from pantoum.network.mixers.counted_ngrams import Order

__all__ = ["MOST_ENTRIES", "MOST_TOKENS", "counted"]

MOST_TOKENS = 1 << 24
"""Tokens that are counted at most, those of the beginning: 16 million take about 2 GB while they are."""
MOST_ENTRIES = 8_000_000
"""N-grams that are kept at most: about 4 bytes each in a file."""
FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where a text is too short or too strange to give them."""
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Found:
    """The n-grams of one order in the text."""

    parents_M: Ids
    tokens_M: Ids
    times_M: Ids
    """How often each occurs."""
    counts_M: Ids
    """After how many different tokens each occurs; in the highest order how often."""


def counted(
    tokens_N: Array,
    vocab_size: int,
    order: int,
    eos: int | None = None,
    most_entries: int = MOST_ENTRIES,
) -> list[Order]:
    """The counts of a text of at least two tokens; ``eos``: the token that begins each document."""
    tokens_N = np.asarray(tokens_N[:MOST_TOKENS]).astype(np.int64)
    found = _found(tokens_N, vocab_size, order, eos)
    least, kept = 1, [np.ones(len(each.tokens_M), bool) for each in found]
    while sum(int(kept_M.sum()) for kept_M in kept) > most_entries and any(map(np.any, kept[2:])):
        least += 1
        kept[2:] = [each.times_M >= least for each in found[2:]]
    while len(kept) > 2 and not kept[-1].any():
        kept.pop()
    return [_order(found, kept, number) for number in range(len(kept))]


def _found(tokens_N: Ids, vocab_size: int, order: int, eos: int | None) -> list[_Found]:
    """All n-grams, order by order."""
    N = len(tokens_N)
    begins_N = np.zeros(N, bool) if eos is None else tokens_N == eos
    begun_S = np.concatenate([[0], np.cumsum(begins_N)])
    times_V = np.bincount(tokens_N, minlength=vocab_size)
    orders = [_Found(np.zeros(vocab_size, np.int64), np.arange(vocab_size), times_V, times_V)]
    nodes_N = tokens_N
    """The n-gram that begins at each place, among those of its order; -1: none."""
    for length in range(2, order + 1):
        starts = np.arange(N - length + 1)
        # No token but the first may begin a document; the last one is only predicted, never a context.
        starts = starts[begun_S[starts + length - 1] == begun_S[starts + 1]]
        if not len(starts):
            break
        keys = nodes_N[starts] * vocab_size + tokens_N[starts + length - 1]
        unique_M, firsts_M, places, times_M = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        orders[-1] = replace(
            orders[-1], counts_M=_different(nodes_N, starts, firsts_M, len(orders[-1].tokens_M))
        )
        orders.append(_Found(unique_M // vocab_size, unique_M % vocab_size, times_M, times_M))
        nodes_N = np.full(N, -1, np.int64)
        nodes_N[starts] = places.reshape(-1)
    return orders


def _different(nodes_N: Ids, starts: Ids, firsts: Ids, size: int) -> Ids:
    """The counts of an order: the longer n-grams that end with each, and occurrences with nothing before."""
    alone_N = nodes_N >= 0
    alone_N[starts + 1] = False
    counts = np.bincount(nodes_N[starts[firsts] + 1], minlength=size)
    return counts + np.bincount(nodes_N[alone_N], minlength=size)


def _order(found: list[_Found], kept: list[npt.NDArray[np.bool_]], number: int) -> Order:
    """An order of which some n-grams are kept. The first part of one that is kept is kept, too: it occurs at
    least as often."""
    own, kept_M = found[number], kept[number]
    children_M = lost_M = np.zeros(len(kept_M), np.int64)
    if number + 1 < len(found):
        longer = found[number + 1]
        stay = kept[number + 1] if number + 1 < len(kept) else np.zeros(len(longer.tokens_M), bool)
        children_M = np.bincount(longer.parents_M[stay], minlength=len(kept_M))
        lost_M = np.bincount(longer.parents_M[~stay], longer.counts_M[~stay], len(kept_M)).astype(np.int64)
    if number + 1 == len(kept):
        lost_M = np.zeros_like(lost_M)  # contexts of this length are not looked up
    return Order(
        own.tokens_M[kept_M].astype(np.uint32),
        own.counts_M[kept_M].astype(np.uint32),
        children_M[kept_M].astype(np.uint32),
        lost_M[kept_M].astype(np.uint32),
        _discounts(own.counts_M),
    )


def _discounts(counts_M: Ids) -> npt.NDArray[np.float32]:
    """The three discounts of an order, from how many of its counts are 1, 2, 3 and 4."""
    n1, n2, n3, n4 = np.bincount(np.minimum(counts_M, 5), minlength=6)[1:5].tolist()
    if not (n1 and n2 and n3 and n4):
        return np.array(FALLBACK, np.float32)
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    fits = all(0 <= discount <= most for most, discount in enumerate(found, start=1))
    return np.array(found if fits else FALLBACK, np.float32)
