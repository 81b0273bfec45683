"""A network and counted n-grams, mixed: one distribution of the next token.

    p(w) = v p_network(w) + (1 - v) p_counts(w)

v depends on the context alone: there is one for each class of contexts (``Counts.buckets``), because counts
deserve more trust the longer the context that they know, and the more often it occurred. The weights are the
most probable ones for a held-out text, found by expectation maximisation (Jelinek and Mercer 1980).

Shapes: N tokens, V symbols, C classes of contexts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pantoum.kernels import Array, StepPart, backend
from pantoum.network.mixers import Found, Mixer, ReadTokens
from pantoum.network.mixers.counted_ngrams import Contexts, Counts
from pantoum.network.spec import StateArray

__all__ = ["CountMixture", "FoundCounts", "best_weight", "fitted", "mixed"]

ITERATIONS = 30
PRIOR = 20.0
"""Each class also has so many tokens that behave as those of all classes together."""
LEAST = 1e-3
"""Each of the two has at least this weight."""


@dataclass(frozen=True, eq=False)
class CountMixture(Mixer):
    """Counts, and the weights of the network beside them [C]."""

    name: ClassVar[str] = "counts"

    counts: Counts
    weights_C: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        weights_C = self.weights_C
        fits = weights_C.shape == (self.counts.buckets,) and bool(((weights_C >= 0) & (weights_C <= 1)).all())
        if not fits:
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


def mixed(nats_N: Array, p_N: Array, weights_N: Array) -> npt.NDArray[np.float64]:
    """Nats under ``v exp(-nats) + (1 - v) p``."""
    weights_N = weights_N.astype(np.float64)
    with np.errstate(divide="ignore"):
        found: npt.NDArray[np.float64] = -np.logaddexp(
            np.log(weights_N) - nats_N.astype(np.float64), np.log1p(-weights_N) + np.log(p_N)
        )
    return found


def fitted(nats_N: Array, p_N: Array, buckets_N: Array, counts: Counts) -> npt.NDArray[np.float32]:
    """The weights [C] under which a text is most probable, from its nats under the network, its probabilities
    under the counts, and the classes of its contexts."""
    network_N = np.exp(-np.minimum(nats_N.astype(np.float64), 700.0))
    start_C = np.full(counts.buckets, best_weight(nats_N, p_N))
    weights_C = _most_probable(network_N, p_N, buckets_N, start_C, PRIOR)
    return np.clip(weights_C, LEAST, 1 - LEAST).astype(np.float32)


def best_weight(nats_N: Array, p_N: Array) -> float:
    """The one weight of the network under which a text is most probable."""
    network_N = np.exp(-np.minimum(nats_N.astype(np.float64), 700.0))
    return float(_most_probable(network_N, p_N, np.zeros(len(p_N), np.int64), np.full(1, 0.5), 0.0)[0])


def _most_probable(
    network_N: Array, p_N: Array, classes_N: Array, start_C: Array, prior: float
) -> npt.NDArray[np.float64]:
    size, weights_C = len(start_C), start_C
    numbers_C = np.bincount(classes_N, minlength=size) + prior
    for _ in range(ITERATIONS):
        own_N = weights_C[classes_N] * network_N
        shares_N = own_N / (own_N + (1 - weights_C[classes_N]) * p_N)
        sums_C = np.bincount(classes_N, shares_N, size) + prior * start_C
        weights_C = sums_C / np.maximum(numbers_C, 1e-9)
    return weights_C
