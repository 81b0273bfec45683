"""Two distributions as one, and a network's logits mixed with the probabilities of counted n-grams.

    p_0(w) = the probability of w after no context
    p_k(w) = left(h) p_(k-1)(w) + share(h w)        h: the last k tokens, where they occurred
    logits = log(v softmax(logits) + (1 - v) p_K)

Shapes: N rows, V symbols, K tokens of context at most.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pantoum.kernels.types import Array, CountTree

__all__ = ["LEAST_PROBABILITY", "count_rows", "mix_counts", "mix_rows", "normalise_rows"]

LEAST_PROBABILITY = np.float32(np.finfo(np.float32).tiny)
"""Added to every probability, so that the logarithm of one that float32 cannot hold is finite."""


def normalise_rows(logits_NV: Array) -> None:
    """The logits become logarithms of their softmax."""
    logits_NV -= logits_NV.max(axis=1, keepdims=True)
    logits_NV -= np.log(np.exp(logits_NV).sum(axis=1, keepdims=True))


def mix_rows(logits_NV: Array, p_NV: Array, weights_N: Array) -> None:
    """The logits become logarithms of ``v softmax(logits) + (1 - v) p``; ``p_NV`` is overwritten, too."""
    logits_NV -= logits_NV.max(axis=1, keepdims=True)
    np.exp(logits_NV, out=logits_NV)
    logits_NV *= (weights_N / logits_NV.sum(axis=1))[:, None]
    p_NV *= (1 - weights_N)[:, None]
    logits_NV += p_NV
    logits_NV += LEAST_PROBABILITY
    np.log(logits_NV, out=logits_NV)


def mix_counts(tree: CountTree, nodes_KN: Array, weights_N: Array, logits_NV: Array) -> None:
    """Logits become logarithms of the probabilities of the mixture, in place; ``nodes_KN``: the contexts of
    each row, as numbers among those of their length, -1 where there is none."""
    mix_rows(logits_NV, count_rows(tree, nodes_KN), weights_N)


def count_rows(tree: CountTree, nodes_KN: Array) -> npt.NDArray[np.float32]:
    """The probabilities of all symbols by the counts [N,V]."""
    (K, N), V = nodes_KN.shape, len(tree.unigrams_V)
    both = list(zip(tree.lengths, nodes_KN, strict=True))
    left_KN = np.stack(
        [np.where(nodes_N >= 0, length.left_M[nodes_N], np.float32(1)) for length, nodes_N in both]
    )
    # What remains for each length after the longer ones.
    remains_KN = np.cumprod(left_KN[::-1], axis=0)[::-1]
    rows_NV: npt.NDArray[np.float32] = remains_KN[0][:, None] * tree.unigrams_V
    flat = rows_NV.reshape(-1)
    for number, (length, nodes_N) in enumerate(both, start=1):
        begins_N = np.where(nodes_N >= 0, length.starts[nodes_N], 0)
        sizes_N = np.where(nodes_N >= 0, length.starts[nodes_N + 1], 0) - begins_N
        if not (total := int(sizes_N.sum())):
            continue
        owners = np.repeat(np.arange(N), sizes_N)
        places = np.arange(total) + (begins_N - (np.cumsum(sizes_N) - sizes_N))[owners]
        values = length.shares_C[places]
        if number < K:
            values = values * remains_KN[number][owners]
        flat[owners * V + length.tokens_C[places]] += values
    return rows_NV
