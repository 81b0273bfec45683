"""A network that writes beside counted contexts: what they have read is expected again.

    p(w) = (1 - v) p_network(w) + v p_contexts(w)

The contexts (``network.mixers.contexts``) are given the network's logits, too. Nothing is learned from what
is read or written here: any number of streams share the contexts, and what a stream has of its own is its
last tokens. A weight v is known from how well both predicted what the contexts have read.

Shapes: T steps, B rows (streams), N = T*B tokens, K tokens kept, V symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pantoum.kernels import Array
from pantoum.kernels.reference.counts import mix_rows
from pantoum.network.mixers import Found, History, Mixer, ReadTokens
from pantoum.network.mixers.contexts import ContextMixer
from pantoum.network.spec import StateArray

__all__ = ["ContextMixture"]

KEPT = 160
"""Tokens that a context may look back on: two lines of a text, or a match of 32 and three long words."""
NETWORKS = 2
"""The contexts have learned with the logits of two networks: here both are those of the one that writes."""


@dataclass(frozen=True, eq=False)
class ContextMixture(Mixer):
    """The contexts, and the weight of their prediction in the mixture."""

    name: ClassVar[str] = "contexts"
    sees_tokens: ClassVar[bool] = True

    contexts: ContextMixer
    weight: float

    def states(self, units: int) -> tuple[StateArray, ...]:
        """The last tokens."""
        return (StateArray("contexts.recent", KEPT, "tokens"),)

    def find(self, read: ReadTokens, state: Sequence[Array]) -> FoundContexts:
        """The tokens before each."""
        recent_BK = state[0]
        known_BK = np.where((recent_BK >= 1) & (recent_BK <= read.vocab_size), recent_BK, 0)  # of a file
        history = History(read.tokens_TB, known_BK, read.reset_TB, read.lengths)
        return FoundContexts(self, history, (history.after().astype(np.float32),))


@dataclass(frozen=True, eq=False)
class FoundContexts(Found):
    """The tokens before N tokens."""

    whole_rows: ClassVar[bool] = True

    mixture: ContextMixture
    history: History
    state: tuple[Array, ...]

    def mix(self, logits_NV: Array, tokens: Array | None = None) -> Array:
        """Whole rows, one after the other."""
        numbers = np.arange(len(logits_NV)) if tokens is None else tokens
        p_NV = np.empty(logits_NV.shape, np.float32)
        for p_V, logits_V, number in zip(p_NV, logits_NV, numbers.tolist(), strict=True):
            both_2V = np.stack([logits_V] * NETWORKS).astype(np.float32)
            p_V[:] = self.mixture.contexts.probabilities(both_2V, self.history.last(number))
        weights_N = np.full(len(p_NV), 1 - self.mixture.weight, np.float32)
        mix_rows(logits_NV, p_NV, weights_N)
        return logits_NV
