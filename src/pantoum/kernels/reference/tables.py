"""Rows of tables by number, the gradient that flows back into them, and the update of rows in use; and a
network's logits mixed with the probabilities of counted n-grams:

    p_0(w) = the probability of w after no context
    p_k(w) = left(h) p_(k-1)(w) + share(h w)        h: the last k tokens, where they occurred
    logits = log(v softmax(logits) + (1 - v) p_K)

Shapes: V symbols, N tokens, G columns; O rows for each token, R rows of a large table, U of them in use; K
tokens of context at most.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pantoum.kernels.types import Array, CountTree, RowCodes

__all__ = [
    "LEAST_PROBABILITY",
    "count_rows",
    "lookup",
    "lookup_gradient",
    "lookup_sum",
    "lookup_sum_gradient",
    "mix_counts",
    "mix_rows",
    "normalise_rows",
    "rms_rows",
    "used_rows",
]

# Up to this vocabulary a product with one-hot rows is faster than sorting the tokens (docs/log).
ONE_HOT_SYMBOLS = 128


def lookup(table_VG: Array, tokens_N: Array, out: Array | None = None) -> Array:
    """The table's rows [N,G]. The tokens were checked where they came in: here they are not."""
    return np.take(table_VG, tokens_N, axis=0, out=out, mode="clip")


def lookup_gradient(d_NG: Array, tokens_N: Array, vocab_size: int, out: Array | None = None) -> Array:
    """For each symbol the sum of the rows at its occurrences [V,G]."""
    if vocab_size <= ONE_HOT_SYMBOLS:
        one_hot_NV = np.zeros((len(tokens_N), vocab_size), d_NG.dtype)
        one_hot_NV[np.arange(len(tokens_N)), tokens_N] = 1
        return np.matmul(one_hot_NV.T, d_NG, out=out)
    d_table_VG = np.zeros((vocab_size, d_NG.shape[1]), d_NG.dtype) if out is None else out
    if out is not None:
        out[...] = 0
    order = np.argsort(tokens_N, kind="stable")
    symbols, starts = np.unique(tokens_N[order], return_index=True)
    d_table_VG[symbols] = np.add.reduceat(d_NG[order], starts, axis=0)
    return d_table_VG


def lookup_sum(table_RV: Array | RowCodes, rows_NO: Array) -> Array:
    """The sum of each token's rows [N,V], the first of them first."""
    sum_NV = _rows(table_RV, rows_NO[:, 0])
    for place in range(1, rows_NO.shape[1]):
        sum_NV += _rows(table_RV, rows_NO[:, place])
    return sum_NV


def _rows(table_RV: Array | RowCodes, rows_N: Array) -> Array:
    if not isinstance(table_RV, RowCodes):
        found_NV: Array = table_RV[rows_N]
        return found_NV
    places_N = table_RV.places_R[rows_N]
    return np.multiply(table_RV.codes_UV[places_N], table_RV.scales_U[places_N, None], dtype=np.float32)


def lookup_sum_gradient(d_NV: Array, rows_NO: Array) -> tuple[Array, Array]:
    """(rows in use [U], ascending; for each the sum of d over the tokens that use it [U,V], in order)."""
    rows_U, order_M, starts_U = used_rows(rows_NO)
    return rows_U, np.add.reduceat(d_NV[order_M // rows_NO.shape[1]], starts_U, axis=0)


def used_rows(rows_NO: Array) -> tuple[Array, Array, Array]:
    """(rows in use [U], ascending; the uses [M], M = N * O, by row and then by token; where in these each
    row's begin [U]). Use m is that of token m // O."""
    flat_M = rows_NO.reshape(-1)
    order_M = np.argsort(flat_M, kind="stable")
    sorted_M = flat_M[order_M]
    starts_U = np.flatnonzero(np.diff(sorted_M, prepend=-1))
    return sorted_M[starts_U].astype(np.int64), order_M, starts_U


def rms_rows(
    table_RV: Array,
    rows_U: Array,
    gradient_UV: Array,
    squares_RV: Array,
    *,
    rate: float,
    keep: float,
    epsilon: float,
    factor: float = 1.0,
) -> None:
    """One step of RMSProp (Hinton 2012) in place, of these rows alone; the gradient counts times ``factor``.

        g = factor * gradient
        squares = keep * squares + (1 - keep) * g^2
        table -= rate * g / (sqrt(squares) + epsilon)

    Squares begin at 0 and are not corrected for it: the first step of a row is 1 / sqrt(1 - keep) times the
    rate, for a row that is seldom used must learn from each use.
    """
    gradient_UV = gradient_UV * table_RV.dtype.type(factor)
    squares_UV = squares_RV[rows_U] * table_RV.dtype.type(keep)
    squares_UV += np.square(gradient_UV) * table_RV.dtype.type(1 - keep)
    squares_RV[rows_U] = squares_UV
    np.sqrt(squares_UV, out=squares_UV)
    squares_UV += table_RV.dtype.type(epsilon)
    gradient_UV /= squares_UV
    gradient_UV *= table_RV.dtype.type(rate)
    table_RV[rows_U] -= gradient_UV


LEAST_PROBABILITY = np.float32(np.finfo(np.float32).tiny)
"""Added to every probability, so that the logarithm of one that float32 cannot hold is finite."""


def normalise_rows(logits_NV: Array) -> None:
    """The logits become logarithms of their softmax."""
    logits_NV -= logits_NV.max(axis=1, keepdims=True)
    logits_NV -= np.log(np.exp(logits_NV).sum(axis=1, keepdims=True))


def mix_rows(logits_NV: Array, p_NV: Array, weights_N: Array) -> None:
    """The logits become logarithms of ``v softmax(logits) + (1 - v) p``; ``p_NV`` is overwritten, too."""
    logits_NV -= logits_NV.max(axis=1, keepdims=True)
    np.exp(logits_NV, out=logits_NV)
    logits_NV *= (weights_N / logits_NV.sum(axis=1))[:, None]
    p_NV *= (1 - weights_N)[:, None]
    logits_NV += p_NV
    logits_NV += LEAST_PROBABILITY
    np.log(logits_NV, out=logits_NV)


def mix_counts(tree: CountTree, nodes_KN: Array, weights_N: Array, logits_NV: Array) -> None:
    """Logits become logarithms of the probabilities of the mixture, in place; ``nodes_KN``: the contexts of
    each row, as numbers among those of their length, -1 where there is none."""
    mix_rows(logits_NV, count_rows(tree, nodes_KN), weights_N)


def count_rows(tree: CountTree, nodes_KN: Array) -> npt.NDArray[np.float32]:
    """The probabilities of all symbols by the counts [N,V]."""
    (K, N), V = nodes_KN.shape, len(tree.unigrams_V)
    both = list(zip(tree.lengths, nodes_KN, strict=True))
    left_KN = np.stack(
        [np.where(nodes_N >= 0, length.left_M[nodes_N], np.float32(1)) for length, nodes_N in both]
    )
    # What remains for each length after the longer ones.
    remains_KN = np.cumprod(left_KN[::-1], axis=0)[::-1]
    rows_NV: npt.NDArray[np.float32] = remains_KN[0][:, None] * tree.unigrams_V
    flat = rows_NV.reshape(-1)
    for number, (length, nodes_N) in enumerate(both, start=1):
        begins_N = np.where(nodes_N >= 0, length.starts[nodes_N], 0)
        sizes_N = np.where(nodes_N >= 0, length.starts[nodes_N + 1], 0) - begins_N
        if not (total := int(sizes_N.sum())):
            continue
        owners = np.repeat(np.arange(N), sizes_N)
        places = np.arange(total) + (begins_N - (np.cumsum(sizes_N) - sizes_N))[owners]
        values = length.shares_C[places]
        if number < K:
            values = values * remains_KN[number][owners]
        flat[owners * V + length.tokens_C[places]] += values
    return rows_NV
