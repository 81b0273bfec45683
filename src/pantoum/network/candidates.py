"""Sampled softmax: the symbols that one training step compares its targets with, instead of all symbols.

The loss of a target y after the hidden state h is log Z - s_y with the logits s and Z = sum over all symbols
w of exp(s_w). Its cost grows with the vocabulary. A training step estimates Z from few symbols:

    Z ~ sum over w in T of exp(s_w) + sum over w in S without T of exp(s_w) / p_w

T are the targets of the whole batch, which all of its rows share. S is a sample of the vocabulary that
contains each symbol with probability p_w, independently of the others. Whatever T is, the expectation of this
estimate is Z: the words that a batch does contain are no sample and count once, the others stand for
themselves and for those that were not drawn (Horvitz and Thompson 1952). As a layer, this is a softmax over
the candidates, T and S together, with ``-log p_w`` added to the biases of those that are not targets. So the
forward and the backward pass are those of a small vocabulary (importance weights for samples of each row:
Bengio and Senecal 2003; Jean, Cho, Memisevic and Bengio 2015).

The probability p_w is proportional to a power of the count of w in the training text, and at most 1, which
frequent symbols have. The draw is a function of (seed, step): it depends neither on the threads nor on the
batch. Evaluation, scoring, adapting and generation use all symbols.

Shapes: V symbols, N targets, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pantoum.config import require, whole
from pantoum.kernels import Array
from pantoum.network.parameters import generator

__all__ = ["CandidateSampler", "Candidates", "inclusion"]

POWER = 0.75
"""Of the counts, as for the noise of word2vec (Mikolov et al. 2013)."""


@dataclass(frozen=True)
class Candidates:
    """The symbols of one step."""

    symbols_C: Array
    """Their numbers, ascending, int64."""
    shift_C: Array
    """What is added to their logits: ``-log p``, 0 for the targets of the batch; float64."""

    def places(self, targets_N: Array) -> Array:
        """Where the targets are among the candidates."""
        places_N: Array = np.searchsorted(self.symbols_C, targets_N)
        return places_N


class CandidateSampler:
    """Draws the candidates of each step."""

    def __init__(self, counts_V: Array, samples: int, seed: int) -> None:
        """``counts_V``: how often each symbol occurs in the training text; ``samples``: how many are drawn in
        the mean, beside the targets."""
        whole(samples, "samples")
        self._inclusion_V = inclusion(counts_V, samples)
        self._seed = seed

    def draw(self, targets_N: Array, step: int) -> Candidates:
        """The candidates of a step with these targets."""
        taken_V = generator(self._seed, 3, step).random(len(self._inclusion_V)) < self._inclusion_V
        taken_V[targets_N] = True
        symbols_C = np.flatnonzero(taken_V)
        shift_C = -np.log(self._inclusion_V[symbols_C])
        shift_C[np.searchsorted(symbols_C, targets_N)] = 0.0
        return Candidates(symbols_C, shift_C)


def inclusion(counts_V: Array, samples: int) -> Array:
    """The probability with which each symbol is drawn [V], float64: at most 1, proportional to a power of its
    count below that, ``samples`` in all (all symbols, if these are fewer)."""
    counts_V = np.asarray(counts_V, np.float64)
    require(
        counts_V.ndim == 1 and counts_V.size > 0, "counts_V", counts_V.shape, "must be one per symbol", ""
    )
    if samples >= len(counts_V):
        certain_V: Array = np.ones(len(counts_V))
        return certain_V
    share_V = (counts_V + 1.0) ** POWER  # a symbol that never occurs is drawn too: it must learn to be rare
    order_V = np.argsort(-share_V, kind="stable")
    sorted_V = share_V[order_V]
    # If the k most frequent are certain, the others have (samples - k) / (the sum of their shares) of theirs.
    left_V = np.cumsum(sorted_V[::-1])[::-1]
    factor_V = (samples - np.arange(len(sorted_V))) / left_V
    certain = int(np.argmax(factor_V * sorted_V <= 1.0))
    probability_V: Array = np.empty(len(counts_V))
    probability_V[order_V] = np.minimum(1.0, factor_V[certain] * sorted_V)
    return probability_V
