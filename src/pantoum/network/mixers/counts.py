"""What short contexts say about the next token: n-grams counted in the training text, smoothed, not learned,
and mixed with the network.

Interpolated modified Kneser-Ney (Chen and Goodman 1998, "An empirical study of smoothing techniques for
language modeling"; Heafield, Pouzyrevsky, Clark and Koehn 2013). With the counts c, of context h and token w,

    p(w | h) = (c(h w) - D(c(h w))) / c(h) + gamma(h) p(w | h')        h': h without its first token
    p(w)     = v p_network(w) + (1 - v) p(w | the longest context that is known)

where D is one of three discounts of an order (for counts of 1, 2, and 3 or more), c(h) the sum over all w,
and gamma(h) what the discounts took away, so that each row sums to 1. The shortest context is none; below it
all tokens are equally probable. Whole counts are held and no probabilities, so that rows sum to 1 whatever a
file says. The weight v depends on the context alone: there is one for each class of contexts
(``Counts.buckets``), because counts deserve more trust the longer the context that they know, and the more
often it occurred.

The n-grams are a tree: those of order n stand in one list, the continuations of one context side by side and
in the order of their last tokens. A context is looked up by one binary search for each order.

``counted`` counts a text by sorting. Each n-gram is the n-gram of one token less that begins at the same
place, as a number, and its last token: one integer of 64 bits. Two million words and five orders take some
seconds. The counts of an order below the highest are those of Kneser and Ney (1995): the number of different
tokens that stood before the n-gram; an occurrence that nothing stands before (the beginning of the text or of
a document) counts by itself. With documents no context reaches over the beginning of one. Where a text has
too many n-grams, those of three tokens and more that occurred least are left out. Their counts stay in the
sums (``Order.lost_M``): what they said is left to shorter contexts.

Shapes: T steps, B rows (streams), N tokens or contexts, M n-grams of one order, V symbols, K tokens of
context at most, C classes of contexts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pantoum.kernels import Array, StepPart, backend
from pantoum.kernels.types import SIZES, ContextsOfLength, CountTree
from pantoum.network.mixers import Found, History, Mixer, ReadTokens
from pantoum.network.spec import StateArray

MOST_ORDER = 8
BLOCK = 1 << 16
"""N-grams that are computed with at a time, or those of one context where it has more."""
MOST_TOKENS = 1 << 24
"""Tokens that are counted at most, those of the beginning: 16 million take about 2 GB while they are."""
MOST_ENTRIES = 8_000_000
"""N-grams that a mixture has at most: about 4 bytes each in a file."""
FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where a text is too short or too strange to give them."""
ITERATIONS = 30
PRIOR = 20.0
"""Each class also has so many tokens that behave as those of all classes together."""
LEAST = 1e-3
"""The network and the counts each have at least this weight."""
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
            below_N = self.children(order, nodes_N, targets_N)
            left_N = np.where(nodes_N >= 0, self._left[order][nodes_N], 1.0)
            p_N = left_N * p_N + np.where(below_N >= 0, self._shares[order][below_N], 0.0)
        return p_N

    @cached_property
    def tree(self) -> CountTree:
        """What the kernels look up: the same arrays."""
        longer = (arrays[1:] for arrays in (self._tokens, self._shares, self._left, self._sizes))
        lengths = tuple(ContextsOfLength(*arrays) for arrays in zip(self._starts, *longer, strict=True))
        return CountTree(self._unigrams_V, lengths, max(0, int(self._sizes[0][0])))

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


@dataclass(frozen=True, eq=False)
class CountMixture(Mixer):
    """Counts, and the weights of the network beside them [C]."""

    name: ClassVar[str] = "counts"

    counts: Counts
    weights_C: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        weights_C = self.weights_C
        if weights_C.shape != (self.counts.buckets,) or not ((weights_C >= 0) & (weights_C <= 1)).all():
            raise ValueError(
                f"its weights beside the counts must be {self.counts.buckets} numbers from 0 to 1, not "
                f"{weights_C.shape}"
            )

    def states(self, units: int) -> tuple[StateArray, ...]:
        """The last tokens."""
        return (StateArray("counts.recent", self.counts.kept, "tokens"),)

    def find(self, read: ReadTokens, state: Sequence[Array]) -> FoundCounts:
        """The contexts that end with each token (``Counts.find``)."""
        (recent_BK,) = state
        contexts = self.counts.find(read.tokens_TB, recent_BK, read.reset_TB, read.lengths)
        return FoundCounts(self, contexts, (contexts.recent_BK,))

    def step_part(self) -> StepPart:
        return StepPart("counts", {"tree": self.counts.tree, "weights_C": self.weights_C})


@dataclass(frozen=True, eq=False)
class FoundCounts(Found):
    """The contexts of N tokens."""

    mixture: CountMixture
    contexts: Contexts
    state: tuple[Array, ...]

    def nats(self, nats_N: Array, targets_N: Array) -> Array:
        """The nats of targets under the mixture, from those under the network."""
        p_N = self.mixture.counts.probabilities(self.contexts, targets_N)
        return mixed(nats_N, p_N, self._weights_N).astype(nats_N.dtype)

    def mix(self, logits_NV: Array, tokens: Array | None = None) -> Array:
        """The whole rows, by the kernels."""
        nodes_KN, weights_N = self.contexts.nodes_KN, self._weights_N
        if tokens is not None:
            nodes_KN, weights_N = nodes_KN[:, tokens], weights_N[tokens]
        backend(logits_NV.dtype).mix_counts(self.mixture.counts.tree, nodes_KN, weights_N, logits_NV)
        return logits_NV

    @property
    def _weights_N(self) -> npt.NDArray[np.float32]:
        return self.mixture.weights_C[self.contexts.buckets_N]


def mixed(nats_N: Array, p_N: Array, weights_N: Array) -> F64:
    """Nats under ``v exp(-nats) + (1 - v) p``."""
    weights_N = weights_N.astype(np.float64)
    with np.errstate(divide="ignore"):
        by_network_N = np.log(weights_N) - nats_N.astype(np.float64)
        by_counts_N = np.log1p(-weights_N) + np.log(p_N)
        both_N: F64 = -np.logaddexp(by_network_N, by_counts_N)
    return both_N


def fitted(nats_N: Array, p_N: Array, buckets_N: Array, counts: Counts) -> npt.NDArray[np.float32]:
    """The weights [C] under which a text is most probable, by expectation maximisation (Jelinek and Mercer
    1980), from its nats under the network, its probabilities under the counts, and the classes of its
    contexts."""
    network_N = np.exp(-np.minimum(nats_N.astype(np.float64), 700.0))
    start_C = np.full(counts.buckets, best_weight(nats_N, p_N))
    weights_C = _most_probable(network_N, p_N, buckets_N, start_C, PRIOR)
    return np.clip(weights_C, LEAST, 1 - LEAST).astype(np.float32)


def best_weight(nats_N: Array, p_N: Array) -> float:
    """The one weight of the network under which a text is most probable."""
    network_N = np.exp(-np.minimum(nats_N.astype(np.float64), 700.0))
    return float(_most_probable(network_N, p_N, np.zeros(len(p_N), np.int64), np.full(1, 0.5), 0.0)[0])


def _most_probable(network_N: Array, p_N: Array, classes_N: Array, start_C: Array, prior: float) -> F64:
    size, weights_C = len(start_C), start_C
    numbers_C = np.bincount(classes_N, minlength=size) + prior
    for _ in range(ITERATIONS):
        own_N = weights_C[classes_N] * network_N
        shares_N = own_N / (own_N + (1 - weights_C[classes_N]) * p_N)
        sums_C = np.bincount(classes_N, shares_N, size) + prior * start_C
        weights_C = sums_C / np.maximum(numbers_C, 1e-9)
    return weights_C


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
