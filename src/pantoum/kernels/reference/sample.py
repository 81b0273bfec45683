"""What is made of logits: the next token, from a uniform number, and the frequencies of an entropy coder.

In order, for each row: the repetition penalty on recent tokens (Keskar et al. 2019: a positive logit is
divided, another multiplied), banned tokens and those that the mask of the row does not allow out, the
temperature, the K most probable, the smallest set that holds probability P, the floor at ``min_p`` of the
best, then the inverse of the cumulative distribution at the uniform number. Each filter sees what the one
before it left. Arithmetic is float64, ties go to the smaller token.

The uniform numbers are a pure function of (seed, stream, position): Philox4x32-10 (Salmon et al. 2011), a
counter-based generator that needs 32-bit multiplications only and is the same in every language. No
generator is kept anywhere, so nothing has to be saved to go on, and a fork writes what its original writes.

The frequencies are whole numbers with an exact sum:

    f = floor(total softmax(logits)),  and the first of the largest also gets what is left of ``total``

Shapes: B rows drawn, N rows of frequencies, V symbols.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pantoum.errors import PantoumError
from pantoum.kernels.types import NOT_FINITE, Array, DrawRows, RowCall

__all__ = ["frequencies", "philox", "sampler", "uniform", "with_sum"]

F64 = npt.NDArray[np.float64]
U64 = npt.NDArray[np.uint64]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_ROUNDS = 10


def philox(counter: Sequence[U64], key: Sequence[U64]) -> tuple[U64, U64, U64, U64]:
    """Philox4x32-10 of four counter words and two key words (arrays of 32-bit numbers held in uint64)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c2 = (p1 >> _HALF) ^ c1 ^ k0, (p0 >> _HALF) ^ c3 ^ k1
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0, c1, c2, c3


def uniform(seeds: U64, streams: U64, positions: U64) -> F64:
    """Numbers in [0, 1) with 53 random bits, one for each (seed, stream, position)."""
    counter = (positions & _LOW, positions >> _HALF, streams & _LOW, streams >> _HALF)
    high, low, _, _ = philox(counter, (seeds & _LOW, seeds >> _HALF))
    bits = (high >> np.uint64(5)) * np.uint64(1 << 26) + (low >> np.uint64(6))
    return bits * 2.0**-53  # type: ignore[no-any-return]


def sampler(rows: DrawRows, banned_N: Array, logits_CV: Array) -> RowCall:
    """Draws one token for each of some of these rows, from logits that are written to this array before;
    tokens of ``banned_N`` [N] are never drawn."""

    def draw(first: int, count: int) -> None:
        at = slice(first, first + count)
        logits_BV = logits_CV[:count].astype(np.float64)
        x_BV = logits_BV.copy()
        if rows.recent_RW is not None:
            _penalise(x_BV, rows.recent_RW[at], rows.penalty[at])
        x_BV[:, banned_N] = -np.inf
        if rows.allowed_RM is not None:
            bytes_BM = rows.allowed_RM[at].astype("<u4").view(np.uint8)
            x_BV[np.unpackbits(bytes_BM, axis=1, count=x_BV.shape[1], bitorder="little") == 0] = -np.inf
        top_B = x_BV.max(axis=1)
        if not np.isfinite(top_B).all():
            raise PantoumError(NOT_FINITE)
        numbers_B = uniform(rows.seed[at], rows.stream[at], rows.position[at])
        tokens_B = np.where(
            rows.temperature[at] == 0.0,
            x_BV.argmax(axis=1),
            _drawn(x_BV - top_B[:, None], rows, at, numbers_B),
        )
        _note(rows, at, tokens_B, _log_probabilities(logits_BV, tokens_B))

    return draw


def _penalise(x_BV: F64, recent_BW: Array, penalty_B: F64) -> None:
    for x_V, recent_W, penalty in zip(x_BV, recent_BW, penalty_B.tolist(), strict=True):
        if penalty != 1.0:
            seen = np.unique(recent_W[recent_W >= 0])
            values = x_V[seen]
            x_V[seen] = np.where(values > 0, values / penalty, values * penalty)


def _drawn(x_BV: F64, rows: DrawRows, at: slice, uniform_B: F64) -> Array:
    """Tokens by the inverse of the cumulative distribution; ``x_BV``: logits below the row's largest."""
    temperature_B = rows.temperature[at]
    # The smallest temperatures overflow to minus infinity, whose exponential is the right answer: 0.
    with np.errstate(over="ignore"):
        x_BV /= np.where(temperature_B == 0.0, 1.0, temperature_B)[:, None]
    p_BV = np.exp(x_BV, out=x_BV)
    top_k_B, top_p_B = rows.top_k[at], rows.top_p[at]
    narrowed_B = ((top_k_B > 0) & (top_k_B < p_BV.shape[1])) | (top_p_B < 1.0)
    if narrowed_B.any():
        p_BV[narrowed_B] = _narrowed(p_BV[narrowed_B], top_k_B[narrowed_B], top_p_B[narrowed_B])
    p_BV[p_BV < rows.min_p[at, None]] = 0.0  # the most probable token stands at exactly 1
    cumulative_BV = np.cumsum(p_BV, axis=1)
    target_B = uniform_B * cumulative_BV[:, -1]
    # The last token with any probability stands in where rounding has left no other.
    last_B = p_BV.shape[1] - 1 - (p_BV[:, ::-1] > 0.0).argmax(axis=1)
    return np.minimum((cumulative_BV <= target_B[:, None]).sum(axis=1), last_B)  # type: ignore[no-any-return]


def _narrowed(p_BV: F64, top_k_B: Array, top_p_B: F64) -> F64:
    """Zero for what is not among the K most probable, then for what is not in their smallest set of mass
    P."""
    V = p_BV.shape[1]
    order_BV = np.argsort(-p_BV, axis=1, kind="stable")
    sorted_BV = np.take_along_axis(p_BV, order_BV, axis=1)
    sorted_BV[np.arange(V) >= np.where(top_k_B > 0, top_k_B, V)[:, None]] = 0.0
    kept_BV = np.zeros_like(p_BV)
    np.put_along_axis(kept_BV, order_BV, sorted_BV, axis=1)
    total_B = np.cumsum(kept_BV, axis=1)[:, -1]
    # A token goes when those before it hold P already; so the most probable one always stays.
    full_BV = np.cumsum(sorted_BV, axis=1)[:, :-1] >= (top_p_B * total_B)[:, None]
    sorted_BV[:, 1:][full_BV & (top_p_B < 1.0)[:, None]] = 0.0
    np.put_along_axis(kept_BV, order_BV, sorted_BV, axis=1)
    return kept_BV


def _log_probabilities(logits_BV: F64, tokens_B: Array) -> F64:
    """What the model itself gave each token, in nats (0 or less), whatever the settings were."""
    top_B = logits_BV.max(axis=1)
    total_B = np.exp(logits_BV - top_B[:, None]).sum(axis=1)
    chosen_B = logits_BV[np.arange(len(tokens_B)), tokens_B]
    nats_B: F64 = chosen_B - top_B - np.log(total_B)
    return nats_B


def _note(rows: DrawRows, at: slice, tokens_B: Array, log_probability_B: F64) -> None:
    rows.tokens[at], rows.log_probability[at] = tokens_B, log_probability_B
    rows.nats[at] -= log_probability_B
    if rows.recent_RW is not None:
        place_B = rows.written[at] % rows.recent_RW.shape[1]
        rows.recent_RW[np.arange(at.start, at.stop), place_B] = tokens_B
    rows.written[at] += 1
    rows.position[at] += np.uint64(1)


def frequencies(logits_NV: Array, total: int) -> None:
    """Logits become frequencies whose sum is ``total``, at most 2^24, in place."""
    logits_NV -= logits_NV.max(axis=1, keepdims=True)
    np.exp(logits_NV, out=logits_NV)
    if not np.isfinite(logits_NV).all():
        raise PantoumError(NOT_FINITE)
    logits_NV *= total / logits_NV.sum(axis=1, keepdims=True, dtype=np.float64)
    np.floor(logits_NV, out=logits_NV)
    with_sum(logits_NV, total)


def with_sum(whole_NV: Array, total: int) -> None:
    """Rows of whole numbers get this sum, which they nearly have: by the first of the largest, and where that
    is too small by those after it."""
    left_N = total - whole_NV.sum(axis=1, dtype=np.int64)
    at_N = whole_NV.argmax(axis=1)
    whole_NV[np.arange(len(whole_NV)), at_N] += np.maximum(left_N, 0)
    for row in np.flatnonzero(left_N < 0).tolist():
        at, over = int(at_N[row]), -int(left_N[row])
        while over:
            taken = min(over, int(whole_NV[row, at]))
            whole_NV[row, at] -= taken
            at, over = (at + 1) % whole_NV.shape[1], over - taken
