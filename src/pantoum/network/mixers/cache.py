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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pantoum.kernels import Array
from pantoum.kernels.reference.tables import mix_rows, normalise_rows
from pantoum.network.mixers import Found, Mixer, ReadTokens
from pantoum.network.mixers.counts import mixed
from pantoum.network.spec import StateArray

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
AT_ONCE = 64
"""Steps whose similarities are in memory at once: with a thousand pairs they stay in the second cache."""
LEAST_TOTAL = np.float32(1e-30)
"""Divides where a step sees no pair."""


@dataclass(frozen=True)
class Cache(Mixer):
    """The settings of a cache."""

    name: ClassVar[str] = "cache"

    size: int
    """Pairs that are kept, N."""
    weight: float
    """The share of the cache in the distribution, from 0 to 1."""
    flatness: float
    """How much more probable similar outputs make a token; 0: all pairs count alike."""

    def states(self, units: int) -> tuple[StateArray, ...]:
        """The outputs, the tokens that came after them, and the last output."""
        return (
            StateArray("cache.outputs", self.size * units, "outputs"),
            StateArray("cache.tokens", self.size, "tokens"),
            StateArray("cache.last", units + 1, "outputs"),
        )

    def find(self, read: ReadTokens, state: Sequence[Array]) -> FoundCache:
        """What each step sees, and the state after the steps."""
        hidden_TBH, tokens_TB, reset_TB, lengths = (
            read.hidden_TBH,
            read.tokens_TB,
            read.reset_TB,
            read.lengths,
        )
        T, B, H = hidden_TBH.shape
        N, rows_B = self.size, np.arange(B)
        keys_BNH, known_BN, last_BX = state[0].reshape(B, N, H), state[1], state[2]
        keys_BJH = np.concatenate([keys_BNH, last_BX[:, None, 1:], hidden_TBH[:-1].swapaxes(0, 1)], axis=1)
        known_BN = np.where(
            (known_BN >= 1) & (known_BN <= read.vocab_size), known_BN, 0
        )  # whatever a file says
        tokens_BJ = np.concatenate([known_BN, tokens_TB.T + 1], axis=1).astype(np.int32)
        tokens_BJ[:, N] *= last_BX[:, 0] == 1
        first_TB = np.zeros((T, B), np.int64)
        if reset_TB is not None:  # the first pair that may be seen: both of its parts are after the reset
            steps_T1 = np.arange(T)[:, None]
            first_TB = np.maximum.accumulate(np.where(reset_TB, N + 1 + steps_T1, 0))
        ends_B = np.full(B, T) if lengths is None else np.asarray(lengths)
        kept = [keys_BJH[b, end : end + N].reshape(1, N * H) for b, end in enumerate(ends_B.tolist())]
        places_BN = ends_B[:, None] + np.arange(N)
        first_B = np.concatenate([np.zeros((1, B), np.int64), first_TB])[ends_B, rows_B]
        own_BN = np.where(places_BN >= first_B[:, None], tokens_BJ[rows_B[:, None], places_BN], 0)
        own_BX, going = last_BX.copy(), np.flatnonzero(ends_B)
        own_BX[going, 0], own_BX[going, 1:] = 1, hidden_TBH[ends_B[going] - 1, going]
        # The outputs of one stream are not copied: they are most of the state.
        arrays = kept[0] if B == 1 else np.concatenate(kept), own_BN, own_BX
        after = tuple(array.astype(np.float32, copy=False) for array in arrays)
        return FoundCache(self, hidden_TBH, keys_BJH, tokens_BJ, first_TB, after)


@dataclass(frozen=True, eq=False)
class FoundCache(Found):
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

    def probabilities(self, targets_N: Array) -> tuple[F64, npt.NDArray[np.bool_]]:
        """(the probability of targets under the cache alone [N], whether it holds anything [N])."""
        T, B, _ = self.hidden_TBH.shape
        p_TB, filled_TB = np.zeros((T, B)), np.zeros((T, B), bool)
        wanted_TB = (targets_N.reshape(T, B) + 1).astype(np.int32)
        for b in range(B):
            for start in range(0, T, AT_ONCE):
                steps = slice(start, min(start + AT_ONCE, T))
                pairs, weights_SJ, totals_S = self._shares(b, steps)
                hits = np.nonzero(self.tokens_BJ[b, pairs] == wanted_TB[steps, b, None])
                sums_S = np.bincount(hits[0], weights_SJ[hits], len(totals_S))
                p_TB[steps, b] = sums_S / np.maximum(totals_S, LEAST_TOTAL)
                filled_TB[steps, b] = totals_S > 0
        return p_TB.reshape(-1), filled_TB.reshape(-1)

    def losses(self, logits_NV: Array, targets_N: Array, first: int, normal: bool) -> tuple[Array, Array]:
        """Only symbols that the cache holds can become more probable, so no row of the vocabulary is
        mixed."""
        if not normal:
            normalise_rows(logits_NV)
        N, B = len(targets_N), self.hidden_TBH.shape[1]
        nats_N, predictions_N = np.empty(N, logits_NV.dtype), np.empty(N, np.int32)
        for number in range(min(B, N)):
            step, b = divmod(first + number, B)
            own = slice(number, None, B)
            steps = slice(step, step + len(targets_N[own]))
            nats_N[own], predictions_N[own] = self._of_row(b, steps, logits_NV[own], targets_N[own])
        return nats_N, predictions_N

    def _of_row(self, b: int, steps: slice, logs_SV: Array, targets_S: Array) -> tuple[F64, Array]:
        """``losses`` of steps of one row, one after the other."""
        shares, rows_S = self._shares(b, steps), np.arange(len(targets_S))
        symbols_U, sums_SU = self._by_symbol(b, *shares)
        p_S, best_S = np.zeros(len(rows_S)), logs_SV.argmax(axis=1)
        weights_S = self.cache.weight * (shares[2] > 0)
        if len(symbols_U):
            mixed_SU = np.exp(logs_SV[:, symbols_U]) * (1 - weights_S[:, None]) + weights_S[:, None] * sums_SU
            held_S = mixed_SU.argmax(axis=1)
            more_S = mixed_SU[rows_S, held_S] > np.exp(logs_SV[rows_S, best_S]) * (1 - weights_S)
            best_S = np.where(more_S, symbols_U[held_S], best_S)
            places_S = np.minimum(np.searchsorted(symbols_U, targets_S), len(symbols_U) - 1)
            p_S = np.where(symbols_U[places_S] == targets_S, sums_SU[rows_S, places_S], 0.0)
        return mixed(-logs_SV[rows_S, targets_S], p_S, 1 - weights_S), best_S

    def mix(self, logits_NV: Array, tokens: Array | None = None) -> Array:
        """Whole rows."""
        T, B, _ = self.hidden_TBH.shape
        places = np.arange(T * B) if tokens is None else tokens
        rows_NV, filled_N = np.zeros_like(logits_NV), np.zeros(len(places), bool)
        for row_V, place, number in zip(rows_NV, places.tolist(), range(len(places)), strict=True):
            b, step = place % B, place // B
            shares = self._shares(b, slice(step, step + 1))
            filled_N[number] = shares[2][0] > 0
            symbols_U, sums_SU = self._by_symbol(b, *shares)
            row_V[symbols_U] = sums_SU[0]
        mix_rows(logits_NV, rows_NV, (1.0 - self.cache.weight * filled_N).astype(np.float32))
        return logits_NV

    def _shares(self, b: int, steps: slice) -> tuple[slice, F32, F32]:
        """What the pairs count for steps of a row, one after the other: (the window, which has the pairs that
        any of the steps sees, what each of these counts in proportion [S,J], 0 where a step does not see it,
        their sums [S]). Step t sees the N pairs from t + 1 on: in the window, a band along the diagonal."""
        S, N = steps.stop - steps.start, self.cache.size
        pairs = slice(steps.start + 1, steps.stop + N)
        queries_SH = self.hidden_TBH[steps, b] * self.hidden_TBH.dtype.type(self.cache.flatness)
        scores_SJ = queries_SH @ self.keys_BJH[b, pairs].T
        scores_SJ[:, :S][np.tri(S, k=-1, dtype=bool)] = -np.inf
        scores_SJ[:, N:][~np.tri(S, S - 1, k=-1, dtype=bool)] = -np.inf
        first_S = self.first_TB[steps, b]
        if first_S.any():
            scores_SJ[np.arange(pairs.start, pairs.stop) < first_S[:, None]] = -np.inf
        empty_J = self.tokens_BJ[b, pairs] <= 0
        if empty_J.any():
            scores_SJ[:, empty_J] = -np.inf
        top_S1 = scores_SJ.max(axis=1, keepdims=True)
        scores_SJ -= np.where(np.isfinite(top_S1), top_S1, 0)
        np.exp(scores_SJ, out=scores_SJ)
        return pairs, scores_SJ, scores_SJ.sum(axis=1)

    def _by_symbol(self, b: int, pairs: slice, weights_SJ: F32, totals_S: F32) -> tuple[Array, F32]:
        """(the symbols of the pairs [U], ascending, the share of each [S,U])."""
        tokens_J = self.tokens_BJ[b, pairs]
        order_J = np.argsort(tokens_J, kind="stable")
        order_J = order_J[np.searchsorted(tokens_J[order_J], 1) :]  # without empty places
        symbols_J = tokens_J[order_J] - 1
        starts_U = np.flatnonzero(np.diff(symbols_J, prepend=-1))
        if not len(starts_U):
            return symbols_J, weights_SJ[:, :0]
        sums_SU = np.add.reduceat(weights_SJ[:, order_J], starts_U, axis=1)
        sums_SU /= np.maximum(totals_S, LEAST_TOTAL)[:, None]
        return symbols_J[starts_U], sums_SU
