"""The n-grams of a training text, counted once per session, and their weights beside each network.

The held-out text is predicted by the counts once. At each evaluation the nats of the network are mixed with
these probabilities by the weights that fit best (``mixers.counts.fitted``); so the validation loss
of a run is that of the model as it will be used. There are some 40 weights for thousands of held-out tokens,
so that fitting them to these tokens makes the loss only a little too low (docs/log).

Shapes: T held-out targets.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pantoum.inference.files import counts_file
from pantoum.kernels import Array
from pantoum.network.mixers.counts import CountMixture, Counts, counted, fitted, mixed

__all__ = ["FittedCounts"]

UNFITTED = 0.5
"""The weight of the network where nothing is held out."""
PART = 1 << 16
"""Held-out tokens that are looked up at once."""


class FittedCounts:
    """Counts of a text, and what they say about another."""

    def __init__(
        self, tokens_N: Array, valid_N: Array | None, vocab_size: int, order: int, eos: int | None
    ) -> None:
        """``eos``: the token that begins each document."""
        orders = counted(tokens_N, vocab_size, order, eos)
        self.counts = Counts(vocab_size, orders)
        self._arrays = counts_file.arrays_of(vocab_size, orders)
        parts = [] if valid_N is None else self._predicted(valid_N, eos)
        self._p_T = np.concatenate([p for p, _ in parts]) if parts else np.zeros(0)
        self._buckets_T = (
            np.concatenate([buckets for _, buckets in parts]) if parts else np.zeros(0, np.int64)
        )

    def unfitted(self) -> CountMixture:
        """The mixture where nothing is held out."""
        return CountMixture(self.counts, np.full(self.counts.buckets, UNFITTED, np.float32))

    def fit(self, nats_T: npt.NDArray[np.float32]) -> tuple[CountMixture, float]:
        """The mixture with a network that has these nats for the first held-out targets; its mean loss."""
        p_T, buckets_T = self._p_T[: len(nats_T)], self._buckets_T[: len(nats_T)]
        if not np.isfinite(nats_T).all():
            return self.unfitted(), float("nan")
        weights_C = fitted(nats_T, p_T, buckets_T, self.counts)
        return CountMixture(self.counts, weights_C), float(mixed(nats_T, p_T, weights_C[buckets_T]).mean())

    def arrays(self, mixture: CountMixture) -> dict[str, Array]:
        """What the model file holds of them."""
        return counts_file.with_weights(self._arrays, mixture)

    def _predicted(self, valid_N: Array, eos: int | None) -> list[tuple[Array, Array]]:
        recent_BK, found = self.counts.initial_state(1), []
        for start in range(0, len(valid_N) - 1, PART):
            part = np.asarray(valid_N[start : start + PART + 1]).astype(np.int64)
            inputs_TB = part[:-1, None]
            contexts = self.counts.find(inputs_TB, recent_BK, None if eos is None else inputs_TB == eos)
            recent_BK = contexts.recent_BK
            found.append((self.counts.probabilities(contexts, part[1:]), contexts.buckets_N))
        return found
