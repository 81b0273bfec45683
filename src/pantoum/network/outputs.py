"""What a program has read: the outputs of its layers, and the logits and losses that follow from them.

    outputs -> head -> + rows of a table of logits -> mixed with counts -> mixed with a cache

Logits of all symbols exist for some tokens at a time wherever losses alone are asked for.

Shapes: T steps, B streams, N = T*B tokens in the order of the steps, H units of all members, V symbols.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pantoum.kernels import Array, Workspace
from pantoum.kernels.mixture import normalise_rows
from pantoum.network.block import Tape
from pantoum.network.head import PackedHead
from pantoum.network.logit_table import FoundRows
from pantoum.network.state import NetworkState

if TYPE_CHECKING:  # programs without them import neither
    from pantoum.network.cache import FoundCache
    from pantoum.network.count_mixture import FoundCounts

__all__ = ["Outputs"]

ROWS_AT_ONCE = 64
"""Rows of a mixture, of all symbols, that are in memory at once."""
TABLE_LOGITS, FEWEST_ROWS = 1 << 22, 64
"""Logits of a table that exist at a time while losses are computed, and the fewest rows of them."""


@dataclass(frozen=True)
class Outputs:
    """The results of a forward pass."""

    head: PackedHead
    hidden_TBH: Array
    """The outputs of the last layers of all members, side by side."""
    rows: FoundRows | None
    counts: FoundCounts | None
    cache: FoundCache | None
    state: NetworkState
    """The state after the tokens."""
    tapes: list[Tape]
    """For each member, what its backward pass needs."""

    @property
    def hidden_NH(self) -> Array:
        """The outputs, a row per token."""
        return self.hidden_TBH.reshape(-1, self.hidden_TBH.shape[2])

    def logits(self, tokens: Array | None = None) -> Array:
        """The logits after all tokens [N,V], or after some of them by number; with counts or a cache,
        logarithms of the probabilities of the mixture."""
        logits_NV = self._logits_of_network(tokens)
        for part in (self.counts, self.cache):
            logits_NV = logits_NV if part is None else part.logits(logits_NV, tokens)
        return logits_NV

    def losses(self, targets_N: Array, workspace: Workspace, predict: bool = True) -> tuple[Array, Array]:
        """(nats [N] of the targets, predictions [N]); those of a mixture need its whole rows. With
        ``predict`` false predictions are those of the network."""
        if predict and not (self.counts is None and self.cache is None):
            return self._losses_of_rows(targets_N)
        nats_N, _, predictions_N = self.losses_beside_cache(targets_N, workspace)
        return nats_N, predictions_N

    def losses_beside_cache(self, targets_N: Array, workspace: Workspace) -> tuple[Array, Array, Array]:
        """(nats [N] of the targets, their nats without the cache [N], the predictions of the network [N])."""
        nats_N, predictions_N = self._losses_of_network(targets_N, workspace)
        return *self.mixed_nats(nats_N, targets_N), predictions_N

    def mixed_nats(self, nats_N: Array, targets_N: Array) -> tuple[Array, Array]:
        """(nats of targets, their nats without the cache), from those under the network."""
        if self.counts is not None:
            nats_N = self.counts.nats(nats_N, targets_N)
        return (nats_N if self.cache is None else self.cache.nats(nats_N, targets_N)), nats_N

    def _logits_of_network(self, tokens: Array | None) -> Array:
        hidden_NH = self.hidden_NH if tokens is None else self.hidden_NH[tokens]
        return self.head.logits(hidden_NH, None if self.rows is None else self.rows.logits(tokens))

    def _losses_of_rows(self, targets_N: Array) -> tuple[Array, Array]:
        N = len(targets_N)
        nats_N, predictions_N = np.empty(N, self.hidden_TBH.dtype), np.empty(N, np.int32)
        for start in range(0, N, ROWS_AT_ONCE):
            part = np.arange(start, min(start + ROWS_AT_ONCE, N))
            logits_NV = self._logits_of_network(part)
            if self.counts is not None:
                logits_NV = self.counts.logits(logits_NV, part)
            else:  # a cache alone
                normalise_rows(logits_NV)
            if self.cache is not None:
                nats_N[part], predictions_N[part] = self.cache.losses(logits_NV, targets_N[part], start)
            else:
                nats_N[part] = -logits_NV[np.arange(len(part)), targets_N[part]]
                predictions_N[part] = logits_NV.argmax(axis=1)
        return nats_N, predictions_N

    def _losses_of_network(self, targets_N: Array, workspace: Workspace) -> tuple[Array, Array]:
        """The logits of the table exist for some rows at a time: those of a block would take a hundred
        megabytes where the vocabulary is large."""
        hidden_NH = self.hidden_NH
        if self.rows is None:
            return self.head.losses(hidden_NH, targets_N, workspace)
        size, found = max(FEWEST_ROWS, TABLE_LOGITS // len(self.head.bias_V)), []
        for start in range(0, max(1, len(targets_N)), size):
            part = slice(start, start + size)
            # Nothing else may hold the logits: those of two parts would exist together.
            found.append(
                self.head.losses(hidden_NH[part], targets_N[part], workspace, self.rows.logits(part))
            )
        nats, predictions = zip(*found, strict=True)
        return np.concatenate(nats), np.concatenate(predictions)
