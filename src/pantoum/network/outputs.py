"""What a program has read: the outputs of its layers, and the logits and losses that follow from them.

    outputs -> head -> + what mixers add -> what the others mix in, in their order (``network.mixers``)

Logits of all symbols exist for some tokens at a time wherever losses alone are asked for.

Shapes: T steps, B streams, N = T*B tokens in the order of the steps, H units of all members, V symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pantoum.kernels import Array, Workspace
from pantoum.network.gradient import Gradient
from pantoum.network.head import Head
from pantoum.network.mixers import Found
from pantoum.network.network_state import NetworkState
from pantoum.network.stack import Tape

__all__ = ["Outputs"]

ROWS_AT_ONCE = 64
"""Rows of a mixture, of all symbols, that are in memory at once."""
ADDED_LOGITS, FEWEST_ROWS = 1 << 22, 64
"""Added logits that exist at a time while losses are computed, and the fewest rows of them."""


@dataclass(frozen=True)
class Outputs:
    """The results of a forward pass."""

    head: Head
    hidden_TBH: Array
    """The outputs of the last layers of all members, side by side."""
    adding: list[Found]
    """What is added to the logits."""
    mixing: list[tuple[str, Found]]
    """What is mixed in, by name."""
    state: NetworkState
    """The state after the tokens."""
    tapes: list[Tape]
    """For each member, what its backward pass needs."""

    @property
    def hidden_NH(self) -> Array:
        """The outputs, a row per token."""
        return self.hidden_TBH.reshape(-1, self.hidden_TBH.shape[2])

    def added(self, tokens: Array | slice | None = None) -> Array | None:
        """All that is added to the logits of the head [N,V], a fresh array; ``tokens``: for some of them."""
        found = [part.added(tokens) for part in self.adding]
        for more_NV in found[1:]:
            found[0] += more_NV
        return found[0] if found else None

    def logits(self, tokens: Array | None = None) -> Array:
        """The logits after all tokens [N,V], or after some of them by number; where something is mixed in,
        logarithms of the probabilities of the mixture."""
        logits_NV = self._logits_of_network(tokens)
        for _, part in self.mixing:
            logits_NV = part.mix(logits_NV, tokens)
        return logits_NV

    def losses(
        self, targets_N: Array, workspace: Workspace, predict: bool = True, asked: Array | None = None
    ) -> tuple[Array, Array]:
        """(nats [N] of the targets, predictions [N]); those of a mixture need its whole rows. With
        ``predict`` false predictions are those of the network. ``asked``: the tokens by number whose figures
        are wanted; those of others mean nothing."""
        if self.mixing and (predict or any(part.whole_rows for _, part in self.mixing)):
            return self._losses_of_rows(targets_N)
        nats_N, predictions_N = self._losses_of_network(targets_N, workspace, asked)
        return self.mixed_nats(nats_N, targets_N)[0], predictions_N

    def losses_beside_cache(self, targets_N: Array, workspace: Workspace) -> tuple[Array, Array, Array]:
        """(nats [N] of the targets, their nats without the cache [N], the predictions of the network [N])."""
        nats_N, predictions_N = self._losses_of_network(targets_N, workspace)
        return *self.mixed_nats(nats_N, targets_N), predictions_N

    def losses_and_logits(self, targets_N: Array) -> tuple[Array, Array, Array, Array]:
        """The same, and the logits after all tokens [N,V], as ``logits`` gives them."""
        logits_NV = self._logits_of_network(None)
        nats_N, predictions_N = self.head.kernels.cross_entropy_of_logits(logits_NV.copy(), targets_N)
        for _, part in self.mixing:
            logits_NV = part.mix(logits_NV)
        return *self.mixed_nats(nats_N, targets_N), predictions_N, logits_NV

    def mixed_nats(self, nats_N: Array, targets_N: Array) -> tuple[Array, Array]:
        """(nats of targets, their nats without the cache), from those under the network."""
        without_N = nats_N
        for name, part in self.mixing:
            nats_N = part.nats(nats_N, targets_N)
            without_N = without_N if name == "cache" else nats_N
        return nats_N, without_N

    def gradients_of_added(self, d_added_NV: Array) -> dict[str, Gradient]:
        """The gradients of what adds to the logits, from those of the logits."""
        return {name: d for part in self.adding for name, d in part.gradients(d_added_NV).items()}

    def _logits_of_network(self, tokens: Array | None) -> Array:
        hidden_NH = self.hidden_NH if tokens is None else self.hidden_NH[tokens]
        return self.head.logits(hidden_NH, self.added(tokens))

    def _losses_of_rows(self, targets_N: Array) -> tuple[Array, Array]:
        N, (*before, (_, last)) = len(targets_N), self.mixing
        nats_N, predictions_N = np.empty(N, self.hidden_TBH.dtype), np.empty(N, np.int32)
        for start in range(0, N, ROWS_AT_ONCE):
            part = np.arange(start, min(start + ROWS_AT_ONCE, N))
            logits_NV = self._logits_of_network(part)
            for _, mixer in before:
                logits_NV = mixer.mix(logits_NV, part)
            found = last.losses(logits_NV, targets_N[part], start, normal=bool(before))
            nats_N[part], predictions_N[part] = found
        return nats_N, predictions_N

    def _losses_of_network(
        self, targets_N: Array, workspace: Workspace, asked: Array | None = None
    ) -> tuple[Array, Array]:
        """Added logits exist for some rows at a time: those of a block would take a hundred megabytes where
        the vocabulary is large."""
        hidden_NH = self.hidden_NH
        if not self.adding:
            if asked is None or len(asked) == len(targets_N):
                return self.head.losses(hidden_NH, targets_N, workspace)
            N = len(targets_N)
            nats_N, predictions_N = np.zeros(N, hidden_NH.dtype), np.zeros(N, np.int32)
            if len(asked):
                own = self.head.losses(hidden_NH[asked], targets_N[asked], workspace)
                nats_N[asked], predictions_N[asked] = own
            return nats_N, predictions_N
        size, found = max(FEWEST_ROWS, ADDED_LOGITS // len(self.head.bias_V)), []
        for start in range(0, max(1, len(targets_N)), size):
            part = slice(start, start + size)
            # Nothing else may hold the logits: those of two parts would exist together.
            found.append(self.head.losses(hidden_NH[part], targets_N[part], workspace, self.added(part)))
        nats, predictions = zip(*found, strict=True)
        return np.concatenate(nats), np.concatenate(predictions)
