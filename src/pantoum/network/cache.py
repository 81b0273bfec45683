"""A continuous cache of the recent past (Grave, Joulin and Usunier 2016, "Improving neural language models
with a continuous cache").

Each of the last N tokens x is kept with h, the output of the last layers after the token before it. After
h_t, the tokens that followed similar outputs are probable again:

    p_cache(w) = sum of exp(flatness h_t . h) over all (h, x) with x = w, normalised over all of them
    p(w) = (1 - weight) p_model(w) + weight p_cache(w)

An empty cache has no weight. A reset empties it. The cache is a part of the state of a stream: the outputs
[B,N*H], the tokens [B,N], each as its number + 1 (0: none), and the last output [B,H+1], whose token has not
come yet, after a 1 (0: there is none).

Shapes: T steps, B rows (streams), N pairs kept, J = N + T pairs that a block of steps sees, H outputs of the
last layers, V symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pantoum.kernels import Array
from pantoum.kernels.mixture import mix_rows
from pantoum.network.count_mixture import mixed

__all__ = ["Cache", "FoundCache"]

F32 = npt.NDArray[np.float32]
AT_ONCE = 256
"""Steps whose similarities are in memory at once."""


@dataclass(frozen=True)
class Cache:
    """The settings of a cache."""

    size: int
    """Pairs that are kept, N."""
    weight: float
    """The share of the cache in the distribution, from 0 to 1."""
    flatness: float
    """How much more probable similar outputs make a token; 0: all pairs count alike."""

    def initial_state(self, batch_size: int, hidden_size: int) -> tuple[Array, ...]:
        """An empty cache of each stream."""
        widths = self.size * hidden_size, self.size, hidden_size + 1
        return tuple(np.zeros((batch_size, width), np.float32) for width in widths)

    def find(
        self,
        hidden_TBH: Array,
        tokens_TB: Array,
        state: tuple[Array, ...],
        reset_TB: Array | None,
        lengths: Array | None,
        vocab_size: int,
    ) -> FoundCache:
        """What each step sees, and the state after the steps; past the length of a row its state stays."""
        T, B, H = hidden_TBH.shape
        N, steps_T = self.size, np.arange(T)
        keys_BNH, known_BN, last_BX = state[0].reshape(B, N, H), state[1], state[2]
        joined_BTH = np.concatenate([last_BX[:, None, 1:], hidden_TBH[:-1].swapaxes(0, 1)], axis=1)
        keys_BJH = np.concatenate([keys_BNH, joined_BTH], axis=1)
        known_BN = np.where((known_BN >= 1) & (known_BN <= vocab_size), known_BN, 0)  # whatever a file says
        tokens_BJ = np.concatenate([known_BN.astype(np.int64), tokens_TB.T + 1], axis=1)
        tokens_BJ[:, N] *= last_BX[:, 0] == 1
        first_TB = np.zeros((T, B), np.int64)
        if reset_TB is not None:  # the first pair that may be seen: both of its parts are after the reset
            first_TB = np.maximum.accumulate(np.where(reset_TB, N + 1 + steps_T[:, None], 0))
        ends_B = np.full(B, T) if lengths is None else np.asarray(lengths)
        after: tuple[list[Array], list[Array], list[Array]] = ([], [], [])
        for b, end in enumerate(ends_B.tolist()):
            own_N = tokens_BJ[b, end : end + N].copy()
            if end:
                own_N[: max(0, int(first_TB[end - 1, b]) - end)] = 0
            own = last_BX[b] if not end else np.concatenate([[1.0], hidden_TBH[end - 1, b]])
            for part, array in zip(after, (keys_BJH[b, end : end + N].reshape(-1), own_N, own), strict=True):
                part.append(array)
        arrays = tuple(np.stack(part).astype(np.float32) for part in after)
        return FoundCache(self, hidden_TBH, keys_BJH, tokens_BJ, first_TB, arrays)


@dataclass(frozen=True, eq=False)
class FoundCache:
    """The pairs that T steps of B rows see. Results are in the order of the steps, N = T * B."""

    cache: Cache
    hidden_TBH: Array
    keys_BJH: Array
    tokens_BJ: Array
    first_TB: Array
    state: tuple[Array, ...]

    def nats(self, nats_N: Array, targets_N: Array) -> Array:
        """The nats of targets with the cache, from those without."""
        p_N, filled_N = self.probabilities(targets_N)
        return mixed(nats_N, p_N, 1.0 - self.cache.weight * filled_N).astype(nats_N.dtype)

    def probabilities(self, targets_N: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """(the probability of targets under the cache alone [N], whether it holds anything [N])."""
        T, B, _ = self.hidden_TBH.shape
        p_TB, filled_TB = np.zeros((T, B)), np.zeros((T, B), bool)
        wanted_TB = targets_N.reshape(T, B) + 1
        for b in range(B):
            for start in range(0, T, AT_ONCE):
                steps = np.arange(start, min(start + AT_ONCE, T))
                shares_SJ = self._shares(b, steps)
                hits_SJ = self.tokens_BJ[b] == wanted_TB[steps, b][:, None]
                p_TB[steps, b] = (shares_SJ * hits_SJ).sum(axis=1, dtype=np.float64)
                filled_TB[steps, b] = shares_SJ.any(axis=1)
        return p_TB.reshape(-1), filled_TB.reshape(-1)

    def logits(self, logits_NV: Array, tokens: Array | None = None) -> Array:
        """Logarithms of the probabilities with the cache [N,V], from the logits without, which are
        overwritten; ``tokens``: those of some of the N tokens."""
        T, B, _ = self.hidden_TBH.shape
        places = np.arange(T * B) if tokens is None else tokens
        rows_NV, filled_N = np.zeros_like(logits_NV), np.zeros(len(places), bool)
        for row_V, place, number in zip(rows_NV, places.tolist(), range(len(places)), strict=True):
            shares_J = self._shares(place % B, np.array([place // B]))[0]
            seen = np.flatnonzero(shares_J)
            filled_N[number] = seen.size > 0
            np.add.at(row_V, self.tokens_BJ[place % B, seen] - 1, shares_J[seen])
        mix_rows(logits_NV, rows_NV, (1.0 - self.cache.weight * filled_N).astype(np.float32))
        return logits_NV

    def _shares(self, b: int, steps: Array) -> F32:
        """How much each pair counts for some steps of a row [S,J]; the sum is 1, or 0 if there are none."""
        low, high = int(steps[0]), int(steps[-1]) + self.cache.size + 1
        seen_J = np.arange(low, high)
        scores_SJ = self.cache.flatness * (self.hidden_TBH[steps, b] @ self.keys_BJH[b, low:high].T)
        first_S1 = np.maximum(steps + 1, self.first_TB[steps, b])[:, None]
        outside_SJ = (seen_J < first_S1) | (seen_J > steps[:, None] + self.cache.size)
        outside_SJ |= self.tokens_BJ[b, low:high] <= 0
        scores_SJ[outside_SJ] = -np.inf
        top_S1 = scores_SJ.max(axis=1, keepdims=True)
        scores_SJ -= np.where(np.isfinite(top_S1), top_S1, 0)
        np.exp(scores_SJ, out=scores_SJ)
        shares_SJ = np.zeros((len(steps), self.tokens_BJ.shape[1]), np.float32)
        shares_SJ[:, low:high] = scores_SJ / np.maximum(scores_SJ.sum(axis=1, keepdims=True), 1e-30)
        return shares_SJ
