"""Counted n-grams as a backoff model, as other programs know it: a probability for each n-gram, and a weight.

    p(w | h) = p(h w)             where the n-gram h w is listed
             = b(h) p(w | h')     elsewhere; b(h) is 1 where h is not listed

An interpolated model is one of these: p(h w) is the whole interpolated probability, b(h) what the discounts
leave to the shorter context (``counted_ngrams.Counts``). So both give every token the same probability.

Shapes: M n-grams of one order N, V symbols, K tokens of context at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pantoum.network.mixers.counted_ngrams import Contexts, Counts

__all__ = ["BackoffOrder", "backoff_orders"]

Ids = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


class BackoffOrder(NamedTuple):
    """The n-grams of one order."""

    tokens_MN: Ids
    probabilities_M: F64
    weights_M: F64 | None
    """b of each as a context; ``None`` in the highest order."""


def backoff_orders(counts: Counts) -> Iterator[BackoffOrder]:
    """The orders, from the lowest."""
    tree, V, K = counts.tree, counts.vocab_size, counts.kept
    tokens_MN: Ids = np.arange(V)[:, None]
    unigrams_V: F64 = tree.unigrams_V.astype(np.float64)
    yield BackoffOrder(tokens_MN, unigrams_V, tree.lengths[0].left_M.astype(np.float64))
    ends: list[Ids] = [np.arange(V)]
    """For each n-gram, the places of its last 1, 2, ... tokens among the n-grams of that order."""
    for order in range(2, K + 2):
        contexts = tree.lengths[order - 2]
        parents_M = np.repeat(np.arange(len(contexts.starts) - 1), np.diff(contexts.starts))
        last_M = contexts.tokens_C.astype(np.int64)
        tokens_MN = np.concatenate([tokens_MN[parents_M], last_M[:, None]], axis=1)
        before = [places[parents_M] for places in ends]
        nodes_KM = np.stack([*before, *[np.full(len(last_M), -1)] * (K - len(before))])
        found = Contexts(nodes_KM, np.zeros(0, np.int64), np.zeros((0, K)))
        weights_M = tree.lengths[order - 1].left_M.astype(np.float64) if order <= K else None
        yield BackoffOrder(tokens_MN, counts.probabilities(found, last_M), weights_M)
        shorter = [
            counts.children(length, places, last_M) for length, places in enumerate(before[:-1], start=1)
        ]
        ends = [last_M, *shorter, np.arange(len(last_M))]
