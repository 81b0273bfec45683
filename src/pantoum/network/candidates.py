"""Sampled softmax: the symbols that one training step compares its targets with, instead of all symbols.

The loss of a target y after the hidden state h is -log of exp(s_y) / (sum over all symbols w of exp(s_w)),
with the logits s. Its cost grows with the vocabulary. A training step asks a smaller question: which of the
candidates C, the target y among them, is the target?

    loss = -log of q_y / (sum over w in C of q_w)        q_w = exp(s_w) / p_w

C is a sample of the vocabulary together with the targets of the batch, which all of its rows share. p_w is
the probability that w is in C by the sample or as the target of another row. If the rows of a batch are
independent and a batch contains symbols independently of each other, the probability that y is the target,
given C, is in proportion to P(y | h) / p_y. So the true distribution minimises the mean of this loss,
whatever the size of the sample, and its logits need no correction afterwards (the ranking form of
noise-contrastive estimation: Jozefowicz et al. 2016; Ma and Collins 2018; with the targets of the batch: Yi
et al. 2019). As a layer, it is a softmax over few symbols with ``-log p_w`` added to their biases.

The sample contains each symbol independently of the others, with a probability in proportion to its count in
the training text, and at most 1, which frequent symbols have. The draw is a function of (seed, step): it
depends neither on the threads nor on the batch. Evaluation, scoring and generation use all symbols.

Shapes: V symbols, N targets, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pantoum.config import require, whole
from pantoum.kernels import Array
from pantoum.network.parameters import generator


@dataclass(frozen=True)
class Candidates:
    """The symbols of one step."""

    symbols_C: Array
    """Their numbers, ascending, int64."""
    shift_C: Array
    """What is added to their logits, ``-log p``; float64."""

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
        self._inclusion_V, self._seed = inclusion(counts_V, samples), seed
        # A symbol is in no place of a batch with (1 - its share of the text) for each of them.
        share_V = np.asarray(counts_V, np.float64) / max(1, np.sum(counts_V))
        self._absent_V = np.log1p(-np.minimum(share_V, 1 - 1e-9))

    def draw(self, targets_N: Array, step: int) -> Candidates:
        """The candidates of a step with these targets."""
        drawn_V = generator(self._seed, 3, step).random(len(self._inclusion_V)) < self._inclusion_V
        drawn_V[targets_N] = True
        symbols_C = np.flatnonzero(drawn_V)
        elsewhere_C = np.exp((len(targets_N) - 1) * self._absent_V[symbols_C])
        return Candidates(symbols_C, -np.log(1.0 - (1.0 - self._inclusion_V[symbols_C]) * elsewhere_C))


def inclusion(counts_V: Array, samples: int) -> Array:
    """The probability with which each symbol is drawn [V], float64: at most 1, proportional to its count
    below that, ``samples`` in all (all symbols, if these are fewer)."""
    counts_V = np.asarray(counts_V, np.float64)
    require(
        counts_V.ndim == 1 and counts_V.size > 0, "counts_V", counts_V.shape, "must be one per symbol", ""
    )
    if samples >= len(counts_V):
        certain_V: Array = np.ones(len(counts_V))
        return certain_V
    share_V = counts_V + 1.0  # a symbol that never occurs is drawn too: it must learn to be rare
    order_V = np.argsort(-share_V, kind="stable")
    sorted_V = share_V[order_V]
    # If the k most frequent are certain, the others have (samples - k) / (the sum of their shares) of theirs.
    left_V = np.cumsum(sorted_V[::-1])[::-1]
    factor_V = (samples - np.arange(len(sorted_V))) / left_V
    certain = int(np.argmax(factor_V * sorted_V <= 1.0))
    probability_V: Array = np.empty(len(counts_V))
    probability_V[order_V] = np.minimum(1.0, factor_V[certain] * sorted_V)
    return probability_V
