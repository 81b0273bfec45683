"""What a forward pass of a program gives, and the logits and losses that follow from it.

Where something is mixed in, logits are logarithms of probabilities and losses those of the mixture. Wherever
losses alone are asked for, logits of all symbols exist for some tokens at a time.

Shapes: B streams, T steps, N = T*B tokens in the order of the steps, H units of all members, V symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pantoum.kernels import Array, Workspace
from pantoum.network.head import Head
from pantoum.network.mixers import Found
from pantoum.network.network_state import NetworkState
from pantoum.network.stack import Tape

ROWS_AT_ONCE = 64
"""Rows of a mixture, of all symbols, that are in memory at once."""
ADDED_LOGITS, FEWEST_ROWS = 1 << 22, 64
"""Added logits that exist at a time while losses are computed, and the fewest rows of them."""


@dataclass(frozen=True)
class Outputs:
    """The results of a forward pass, and the logits and losses that follow from them."""

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
        parts = [part.added(tokens) for part in self.adding]
        for more_NV in parts[1:]:
            parts[0] += more_NV
        return parts[0] if parts else None

    def logits(self, tokens: Array | None = None) -> Array:
        """The logits after all tokens [N,V], or after some of them by number; where something is mixed in,
        logarithms of the probabilities of the mixture."""
        return self.mixed(self.logits_of_network(tokens), tokens)

    def logits_of_network(self, tokens: Array | None = None) -> Array:
        """The same before anything is mixed in."""
        hidden_NH = self.hidden_NH if tokens is None else self.hidden_NH[tokens]
        return self.head.logits(hidden_NH, self.added(tokens))

    def mixed(self, logits_NV: Array, tokens: Array | None = None) -> Array:
        """Logits of the network as those of the mixture."""
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
        nats_N, predictions_N = self.losses_of_network(targets_N, workspace, asked)
        return self.mixed_nats(nats_N, targets_N)[0], predictions_N

    def losses_of_network(
        self, targets_N: Array, workspace: Workspace, asked: Array | None = None
    ) -> tuple[Array, Array]:
        """The same before anything is mixed in. Added logits exist for some rows at a time: those of a block
        would take a hundred megabytes where the vocabulary is large."""
        hidden_NH, N = self.hidden_NH, len(targets_N)
        if not self.adding:
            if asked is None or len(asked) == N:
                return self.head.losses(hidden_NH, targets_N, workspace)
            nats_N, predictions_N = np.zeros(N, hidden_NH.dtype), np.zeros(N, np.int32)
            if len(asked):
                own = self.head.losses(hidden_NH[asked], targets_N[asked], workspace)
                nats_N[asked], predictions_N[asked] = own
            return nats_N, predictions_N
        size, parts = max(FEWEST_ROWS, ADDED_LOGITS // len(self.head.bias_V)), []
        for start in range(0, max(1, N), size):
            part = slice(start, start + size)
            # Nothing else may hold the logits: those of two parts would exist together.
            parts.append(self.head.losses(hidden_NH[part], targets_N[part], workspace, self.added(part)))
        nats, predictions = zip(*parts, strict=True)
        return np.concatenate(nats), np.concatenate(predictions)

    def mixed_nats(self, nats_N: Array, targets_N: Array) -> tuple[Array, Array]:
        """(nats of targets, their nats without the cache), from those under the network."""
        without_N = nats_N
        for name, part in self.mixing:
            nats_N = part.nats(nats_N, targets_N)
            without_N = without_N if name == "cache" else nats_N
        return nats_N, without_N

    def _losses_of_rows(self, targets_N: Array) -> tuple[Array, Array]:
        N, (*before, (_, last)) = len(targets_N), self.mixing
        nats_N, predictions_N = np.empty(N, self.hidden_TBH.dtype), np.empty(N, np.int32)
        for start in range(0, N, ROWS_AT_ONCE):
            part = np.arange(start, min(start + ROWS_AT_ONCE, N))
            logits_NV = self.logits_of_network(part)
            for _, mixer in before:
                logits_NV = mixer.mix(logits_NV, part)
            both = last.losses(logits_NV, targets_N[part], start, normal=bool(before))
            nats_N[part], predictions_N[part] = both
        return nats_N, predictions_N
