"""The draw of the next token: logits and a uniform number in, a token out.

In order, for each row: the repetition penalty on recently written tokens, banned tokens out, the
temperature, the K most probable, the smallest set that holds probability P, the floor at ``min_p`` of the
best, then the inverse of the cumulative distribution at the uniform number. Each filter sees what the one
before it left. Arithmetic is float64, ties go to the smaller token.

The uniform numbers are a pure function of (seed, stream, position): Philox4x32-10 (Salmon et al. 2011), a
counter-based generator that needs 32-bit multiplications only and is the same in every language. No
generator is kept anywhere, so nothing has to be saved to go on, and a fork repeats its twin.

Shape letters: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.config import SamplingConfig
from pantoum.errors import PantoumError

__all__ = ["Draws", "log_probabilities", "philox", "sample", "uniform"]

F64 = NDArray[np.float64]
U64 = NDArray[np.uint64]
PENALTY_WINDOW = 64
"""Tokens that the repetition penalty looks back on."""

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox(counter: Sequence[U64], key: tuple[int, int]) -> tuple[U64, U64, U64, U64]:
    """Philox4x32-10 of four counter words (arrays of 32-bit numbers held in uint64) and two key words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c2 = (p1 >> _HALF) ^ c1 ^ np.uint64(k0), (p0 >> _HALF) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def uniform(seed: int, streams: U64, positions: U64) -> F64:
    """Numbers in [0, 1) with 53 random bits, one for each (stream, position); the two broadcast."""
    streams, positions = np.broadcast_arrays(streams, positions)
    counter = (positions & _LOW, positions >> _HALF, streams & _LOW, streams >> _HALF)
    high, low, _, _ = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
    bits = (high >> np.uint64(5)) * np.uint64(1 << 26) + (low >> np.uint64(6))
    return bits * 2.0**-53  # type: ignore[no-any-return]


class Draws:
    """The uniform numbers of one seed, made a block of positions at a time because one costs as much as 64.

    ``at(streams, position)`` is a function of its arguments alone; the block is only a cache.
    """

    BLOCK = 64

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._key: tuple[bytes, int] | None = None
        self._block: F64 = np.empty((0, 0))

    def at(self, streams: U64, position: int) -> F64:
        """One number for each stream at this position."""
        first = position - position % self.BLOCK
        key = (streams.tobytes(), first)
        if key != self._key:
            positions = np.arange(first, first + self.BLOCK, dtype=np.uint64)[:, None]
            self._block, self._key = uniform(self.seed, streams[None, :], positions), key
        numbers: F64 = self._block[position - first]
        return numbers


def log_probabilities(logits_BV: NDArray[Any], tokens_B: NDArray[Any]) -> F64:
    """What the model itself gave each token, in nats (0 or less), whatever the sampling settings were."""
    wide_BV = logits_BV.astype(np.float64)
    top_B = wide_BV.max(axis=1)
    total_B = np.exp(wide_BV - top_B[:, None]).sum(axis=1)
    chosen_B = wide_BV[np.arange(len(tokens_B)), tokens_B]
    return chosen_B - top_B - np.log(total_B)  # type: ignore[no-any-return]


def sample(
    logits_BV: NDArray[Any],
    config: SamplingConfig,
    uniform_B: F64,
    *,
    recent: Sequence[Sequence[int]] | None = None,
    banned: Sequence[int] = (),
) -> NDArray[np.int64]:
    """Draw one token a row.

    ``recent``: for each row the tokens that the repetition penalty counts (the last ``PENALTY_WINDOW`` of
    them). ``banned``: tokens that are never drawn.
    """
    x_BV = logits_BV.astype(np.float64)
    if config.repetition_penalty is not None and recent is not None:
        _penalise(x_BV, recent, config.repetition_penalty)
    if banned:
        x_BV[:, list(banned)] = -np.inf
    top_B = x_BV.max(axis=1)
    if not np.isfinite(top_B).all():
        raise PantoumError(
            "the model's scores are not finite: its weights are damaged; train it again or use another model"
        )
    if config.greedy or config.temperature == 0.0:
        best: NDArray[np.int64] = x_BV.argmax(axis=1)
        return best
    x_BV -= top_B[:, None]
    # The smallest temperatures overflow to minus infinity, whose exponential is the right answer: 0.
    with np.errstate(over="ignore"):
        x_BV /= config.temperature
    p_BV = np.exp(x_BV, out=x_BV)
    if config.top_k is not None or config.top_p is not None:
        _keep_most_probable(p_BV, config.top_k, config.top_p)
    if config.min_p is not None:
        p_BV[p_BV < config.min_p] = 0.0  # the most probable token stands at exactly 1
    cumulative_BV = np.cumsum(p_BV, axis=1)
    target_B = uniform_B * cumulative_BV[:, -1]
    return (cumulative_BV <= target_B[:, None]).sum(axis=1)  # type: ignore[no-any-return]


def _penalise(x_BV: F64, recent: Sequence[Sequence[int]], penalty: float) -> None:
    """Keskar et al. 2019: a recent token's logit is divided if positive, multiplied if negative."""
    for row, tokens in enumerate(recent):
        seen = np.unique(np.asarray(tokens[-PENALTY_WINDOW:], dtype=np.int64))
        values = x_BV[row, seen]
        x_BV[row, seen] = np.where(values > 0, values / penalty, values * penalty)


def _keep_most_probable(p_BV: F64, top_k: int | None, top_p: float | None) -> None:
    """Set to zero what is not among the K most probable, then what is not in their smallest set of mass P."""
    order_BV = np.argsort(-p_BV, axis=1, kind="stable")
    sorted_BV = np.take_along_axis(p_BV, order_BV, axis=1)
    if top_k is not None:
        sorted_BV[:, top_k:] = 0.0
    if top_p is not None:
        cumulative_BV = np.cumsum(sorted_BV, axis=1)
        # A token goes when those before it hold P already; so the most probable one always stays.
        sorted_BV[:, 1:][cumulative_BV[:, :-1] >= top_p * cumulative_BV[:, -1:]] = 0.0
    np.put_along_axis(p_BV, order_BV, sorted_BV, axis=1)
