"""What short contexts say about the next token: n-grams counted in the training text, smoothed, not learned.

Interpolated modified Kneser-Ney (Chen and Goodman 1998, "An empirical study of smoothing techniques for
language modeling"; Heafield, Pouzyrevsky, Clark and Koehn 2013). With the counts c, of context h and token w,

    p(w | h) = (c(h w) - D(c(h w))) / c(h) + gamma(h) p(w | h')        h': h without its first token

where D is one of three discounts of an order (for counts of 1, 2, and 3 or more), c(h) the sum over all w,
and gamma(h) what the discounts took away, so that each row sums to 1. The shortest context is none; below it
all tokens are equally probable. Whole counts are kept and no probabilities, so that rows sum to 1 whatever a
file says. Counts of orders below the highest are numbers of different tokens before the n-gram; ``counting``
makes them.

The n-grams are a tree: those of order n stand in one list, the continuations of one context side by side and
in the order of their last tokens. A context is found by one binary search for each order.

Shapes: T steps, B rows (streams), N contexts, M n-grams of one order, V symbols, K tokens of context at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pantoum.kernels import Array
from pantoum.kernels.types import SIZES, ContextsOfLength, CountTree
from pantoum.network.mixers import History

__all__ = ["MOST_ORDER", "Contexts", "Counts", "Order"]

MOST_ORDER = 8
BLOCK = 1 << 16
"""N-grams that are computed with at a time, or those of one context where it has more."""
Ids = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Order:
    """The n-grams of one order. Of order 1 there are V, in the order of the symbols."""

    tokens_M: Array
    """The last token of each."""
    counts_M: Array
    """How often each occurred, or after how many different tokens."""
    children_M: Array
    """How many n-grams of the next order begin with each; all 0 in the highest order."""
    lost_M: Array
    """The sum of the counts of those that were left out of the next order."""
    discounts_3: Array
    """What is taken off counts of 1, 2, and 3 or more."""


@dataclass(frozen=True, eq=False)
class Contexts:
    """N contexts, as places in the tree."""

    nodes_KN: Ids
    """The n-gram of the last 1, 2, ... tokens, among those of its order; -1: it did not occur, or the text
    (or the document) began after it."""
    buckets_N: Ids
    """A class for each context: by the longest part of it that occurred, and how often."""
    recent_BK: Array
    """The state after the tokens."""


class Counts:
    """Counted n-grams and their probabilities. ``ValueError`` says what is wrong with the orders given."""

    def __init__(self, vocab_size: int, orders: Iterable[Order]) -> None:
        """``orders`` may be made one after the other: of each, only what is looked up is held. In addition
        to it, memory for one order is needed, and for arrays of a block of n-grams."""
        self.vocab_size = vocab_size
        self.entries = 0
        """The number of n-grams of all orders."""
        self._tokens: list[Array] = []
        self._starts: list[npt.NDArray[np.int32]] = []
        """For each order: where in the next one the continuations of each n-gram begin [M + 1]."""
        self._shares: list[npt.NDArray[np.float32]] = []
        """For each order: (c(h w) - D) / c(h)."""
        self._left: list[npt.NDArray[np.float32]] = []
        """For each length of contexts from 0 on: gamma; 1 where nothing followed."""
        self._sizes: list[npt.NDArray[np.int8]] = []
        """For each length of contexts from 0 on: the class of c(h); -1 where nothing followed."""
        lost_P: Array = np.zeros(1, np.uint32)
        for order in orders:
            self._add(len(self._shares), order, lost_P)
            lost_P = order.lost_M
            del order  # the next one is made without it
        self.kept = len(self._shares) - 1
        """The longest context, K tokens."""
        if not 1 <= self.kept < MOST_ORDER or self._starts.pop()[-1]:
            raise ValueError(
                f"its counts must have 2 to {MOST_ORDER} orders, the highest without continuations"
            )

    def _add(self, number: int, order: Order, lost_P: Array) -> None:
        """One more order: checks, and what is looked up of it; ``lost_P``: of the order before it."""
        V, M = self.vocab_size, len(order.tokens_M)
        sizes = {len(part) for part in (order.counts_M, order.children_M, order.lost_M)}
        if sizes != {M} or not M or order.discounts_3.shape != (3,):
            raise ValueError(f"its counts of order {number + 1} have arrays of different sizes")
        discounts_3 = order.discounts_3.astype(np.float32)
        if not (np.isfinite(discounts_3) & (discounts_3 >= 0) & (discounts_3 <= (1, 2, 3))).all():
            raise ValueError(f"its discounts of order {number + 1} are {discounts_3.tolist()}")
        if number == 0:
            fits = M == V and bool(order.counts_M.any()) and np.array_equal(order.tokens_M, np.arange(V))
            starts_P = np.array([0, M], np.int32)
        else:
            starts_P = self._starts[-1]
            fits = starts_P[-1] == M and bool(order.counts_M.all() and order.tokens_M.max() < V)
        if not fits:
            raise ValueError(f"its counts of order {number + 1} are not those of {V:,} symbols in order")
        self._share(order, starts_P, discounts_3, lost_P)
        if (children := int(order.children_M.sum(dtype=np.int64))) >= 2**31:
            raise ValueError(f"its counts of order {number + 1} have {children:,} continuations")
        starts = np.zeros(M + 1, np.int32)
        if children:
            np.cumsum(order.children_M, dtype=np.int32, out=starts[1:])
        self._tokens.append(np.ascontiguousarray(order.tokens_M, np.uint32))
        self._starts.append(starts)
        self.entries += M

    def _share(self, order: Order, starts_P: Array, discounts_3: Array, lost_P: Array) -> None:
        """The shares of n-grams in their contexts, and what the contexts leave to shorter ones."""
        M, P = len(order.tokens_M), len(lost_P)
        shares_M, left_P, sizes_P = np.empty(M, np.float32), np.empty(P, np.float32), np.empty(P, np.int8)
        taken_4 = np.concatenate([np.zeros(1, np.float32), discounts_3])
        for contexts, here in _blocks(starts_P):
            parents_M, tokens_M = _parents(starts_P, contexts), order.tokens_M[here]
            if ((tokens_M[1:] <= tokens_M[:-1]) & (parents_M[1:] == parents_M[:-1])).any():
                raise ValueError(f"its counts of order {len(self._shares) + 1} are not in order")
            counts_M, lost = order.counts_M[here].astype(np.uint32), lost_P[contexts].astype(np.uint32)
            totals = np.bincount(parents_M, counts_M, len(lost)) + lost
            taken_M = taken_4[np.minimum(counts_M, 3)]
            left = np.bincount(parents_M, taken_M, len(lost)) + lost
            np.subtract(counts_M, taken_M, out=shares_M[here], casting="same_kind")
            nothing = totals == 0
            totals[nothing] = 1
            shares_M[here] /= totals.astype(np.float32)[parents_M]
            left_P[contexts] = np.where(nothing, 1.0, left / totals)
            classes = np.minimum(np.ceil(np.log2(totals)), SIZES - 1)
            sizes_P[contexts] = np.where(nothing, -1, classes)
        self._shares.append(shares_M)
        self._left.append(left_P)
        self._sizes.append(sizes_P)

    @cached_property
    def keys(self) -> list[Ids]:
        """For each order from 2 on: the place of the context times V, plus the token; ascending; made
        for the first search: by then the file that the counts come from is no longer in memory."""
        return [self._keys(*order) for order in zip(self._starts, self._tokens[1:], strict=True)]

    def _keys(self, starts_P: Array, tokens_M: Array) -> Ids:
        keys_M = np.empty(len(tokens_M), np.int64)
        for contexts, here in _blocks(starts_P):
            parents_M = _parents(starts_P, contexts) + contexts.start
            keys_M[here] = parents_M * self.vocab_size + tokens_M[here]
        return keys_M

    @property
    def buckets(self) -> int:
        """The number of classes of contexts."""
        return (self.kept + 1) * SIZES

    def initial_state(self, batch_size: int) -> Array:
        """No tokens yet [B,K]."""
        return np.zeros((batch_size, self.kept), np.float32)

    def find(
        self, tokens_TB: Array, recent_BK: Array, reset_TB: Array | None = None, lengths: Array | None = None
    ) -> Contexts:
        """The contexts that end with each token, N = T * B, after the last K tokens, the oldest first, each
        as its number + 1 (0: none). A context never reaches over a reset; past the length of a row the state
        stays."""
        (T, B), K = tokens_TB.shape, self.kept
        # Whatever a file says; what comes before a gap is not a context.
        known_BK = np.where((recent_BK >= 1) & (recent_BK <= self.vocab_size), recent_BK, 0)
        known_BK = known_BK * np.logical_and.accumulate(known_BK[:, ::-1] > 0, axis=1)[:, ::-1]
        history = History(tokens_TB, known_BK, reset_TB, lengths)
        symbols_SB = history.tokens_SB - 1
        nodes_KTB, nodes_SB = np.empty((K, T, B), np.int64), symbols_SB
        nodes_KTB[0] = nodes_SB[K:]
        for more in range(1, K):
            before_SB = np.concatenate([np.full((1, B), -1), nodes_SB[:-1]])
            nodes_SB = self.children(more, before_SB, symbols_SB)
            nodes_SB[K:] = history.shown(nodes_SB[K:], more, -1)
            nodes_KTB[more] = nodes_SB[K:]
        nodes_KN = nodes_KTB.reshape(K, T * B)
        return Contexts(nodes_KN, self._classes(nodes_KN), history.after().astype(np.float32))

    def probabilities(self, contexts: Contexts, targets_N: Array) -> F64:
        """The probability of a target after each context [N]."""
        p_N: F64 = self._unigrams_V.astype(np.float64)[targets_N]
        for order, nodes_N in enumerate(contexts.nodes_KN, start=1):
            known_N = nodes_N >= 0
            found_N = self.children(order, nodes_N, targets_N)
            left_N = np.where(known_N, self._left[order][nodes_N], 1.0)
            p_N = left_N * p_N + np.where(found_N >= 0, self._shares[order][found_N], 0.0)
        return p_N

    @cached_property
    def tree(self) -> CountTree:
        """What the kernels look up: the same arrays."""
        lengths = (
            ContextsOfLength(*arrays)
            for arrays in zip(
                self._starts, self._tokens[1:], self._shares[1:], self._left[1:], self._sizes[1:], strict=True
            )
        )
        return CountTree(self._unigrams_V, tuple(lengths), max(0, int(self._sizes[0][0])))

    @cached_property
    def _unigrams_V(self) -> npt.NDArray[np.float32]:
        unigrams_V: npt.NDArray[np.float32] = self._shares[0] + self._left[0][0] / np.float32(self.vocab_size)
        return unigrams_V

    def children(self, order: int, nodes: Ids, tokens: Array) -> Ids:
        """The places of n-grams of the order after ``order``, of a context and a token; -1: none."""
        keys = self.keys[order - 1]
        wanted = nodes * self.vocab_size + tokens
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found: Ids = np.where((keys[places] == wanted) & (nodes >= 0) & (tokens >= 0), places, -1)
        return found

    def _classes(self, nodes_KN: Ids) -> Ids:
        classes_N = np.full(nodes_KN.shape[1], self.tree.shortest)
        for order, nodes_N in enumerate(nodes_KN, start=1):
            sizes_N = np.where(nodes_N >= 0, self._sizes[order][nodes_N], -1).astype(np.int64)
            classes_N = np.where(sizes_N >= 0, order * SIZES + sizes_N, classes_N)
        return classes_N


def _blocks(starts_P: Array) -> Iterator[tuple[slice, slice]]:
    """The contexts in parts, each with its continuations."""
    contexts, last, start = len(starts_P) - 1, int(starts_P[-1]), 0
    while start < contexts:
        # A number of another type would have the whole array converted.
        most = starts_P.dtype.type(min(int(starts_P[start]) + BLOCK, last))
        end = int(np.searchsorted(starts_P, most, "right")) - 1
        end = min(max(end, start + 1), start + BLOCK, contexts)
        yield slice(start, end), slice(int(starts_P[start]), int(starts_P[end]))
        start = end


def _parents(starts_P: Array, contexts: slice) -> Ids:
    """The context of each continuation of some contexts, counted from the first of these."""
    sizes = np.diff(starts_P[contexts.start : contexts.stop + 1])
    return np.repeat(np.arange(len(sizes)), sizes)
