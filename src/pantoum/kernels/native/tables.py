"""Rows of tables by number, their gradients and their update, and counted n-grams: ``reference.tables`` and
``reference.counts`` in the core.

NumPy's sort finds which rows are in use; the core computes the sums and the update. The numbers of a tree of
counts are trusted: ``network.mixers.counts`` has checked them.

Shapes: V symbols, N tokens, G columns; O rows for each token, R rows of a large table, U of them in use;
K tokens of context at most.
"""

from __future__ import annotations

import ctypes

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.native.library import core
from pantoum.kernels.reference.tables import used_rows
from pantoum.kernels.types import SIZES, Array, CountTree, RowCodes

__all__ = [
    "checked_rows",
    "checked_tokens",
    "counts_struct",
    "lookup",
    "lookup_gradient",
    "lookup_sum",
    "lookup_sum_gradient",
    "mix_counts",
    "rms_rows",
    "row_table",
]


def checked_tokens(tokens_N: Array, vocab_size: int, name: str = "tokens_N") -> Array:
    """Tokens as the core reads them, int32 and each within the vocabulary: it does not look itself."""
    tokens_N = np.asarray(tokens_N)
    if tokens_N.dtype.kind not in "iu" or tokens_N.ndim != 1:
        raise CoreError(
            f"{name} is {tokens_N.dtype} of shape {tokens_N.shape}: tokens are whole numbers in "
            "one row; encode the text with this model's tokenizer"
        )
    # Before the conversion, in which a large number may become a small one.
    if tokens_N.size and not (tokens_N.min() >= 0 and tokens_N.max() < vocab_size):
        raise CoreError(
            f"{name} holds {tokens_N.min()} to {tokens_N.max()}: tokens are from 0 to "
            f"{vocab_size - 1}; encode the text with this model's tokenizer"
        )
    return np.ascontiguousarray(tokens_N, np.int32)


def checked_rows(rows_U: Array, count: int) -> Array:
    """Numbers of rows that an update changes, each within the table and once."""
    rows_U = np.ascontiguousarray(_within(rows_U, count), np.int64)
    if rows_U.ndim != 1 or (len(rows_U) > 1 and not (rows_U[1:] > rows_U[:-1]).all()):
        raise CoreError("rows_U is not ascending: each row moves once; take it from lookup_sum_gradient")
    return rows_U


def lookup(table_VG: Array, tokens_N: Array, out: Array | None = None) -> Array:
    """The table's rows [N,G]."""
    V, G = table_VG.shape
    rows_N1 = checked_tokens(tokens_N, V)[:, None]
    out_NG: Array = np.empty((len(rows_N1), G), np.float32) if out is None else out
    core().call("lookup_sum", table=row_table(table_VG), rows=rows_N1, out=out_NG, columns=G)
    return out_NG


def lookup_gradient(d_NG: Array, tokens_N: Array, vocab_size: int, out: Array | None = None) -> Array:
    """For each symbol the sum of the rows at its occurrences [V,G]."""
    out_VG: Array = np.empty((vocab_size, d_NG.shape[1]), np.float32) if out is None else out
    tokens_N = checked_tokens(tokens_N, vocab_size)
    core().call("lookup_gradient", d=d_NG, tokens=tokens_N, out=out_VG, vocabulary=vocab_size)
    return out_VG


def lookup_sum(table_RV: Array | RowCodes, rows_NO: Array) -> Array:
    """The sum of each token's rows [N,V], the first of them first."""
    (R, V), N = table_RV.shape, len(rows_NO)
    rows_NO, sum_NV = np.ascontiguousarray(_within(rows_NO, R), np.int32), np.empty((N, V), np.float32)
    core().call("lookup_sum", table=row_table(table_RV), rows=rows_NO, out=sum_NV)
    return sum_NV


def row_table(table_RV: Array | RowCodes) -> ctypes.Structure:
    """A table as the core takes it; its arrays must outlive it."""
    if not isinstance(table_RV, RowCodes):
        return core().struct("row_table", rows=table_RV)
    codes = table_RV
    return core().struct("row_table", codes=codes.codes_UV, scales=codes.scales_U, places=codes.places_R)


def lookup_sum_gradient(d_NV: Array, rows_NO: Array) -> tuple[Array, Array]:
    """(rows in use [U], ascending; for each the sum of d over the tokens that use it [U,V], in order)."""
    (N, V), each = d_NV.shape, rows_NO.shape[1]
    assert len(rows_NO) == N
    rows_U, uses_M, starts_U = used_rows(rows_NO)
    sums_UV = np.empty((len(rows_U), V), np.float32)
    core().call("sum_uses", d=d_NV, uses=uses_M, starts=starts_U, out=sums_UV, each=each)
    return rows_U, sums_UV


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
    """One step of RMSProp in place, of these rows alone (all different)."""
    core().call(
        "rms_rows",
        table=table_RV,
        rows=checked_rows(rows_U, len(table_RV)),
        gradient=gradient_UV,
        squares=squares_RV,
        rate=rate,
        keep=keep,
        share=1 - keep,
        epsilon=epsilon,
        factor=factor,
    )


def _within(rows: Array, count: int) -> Array:
    """Numbers of rows, each within the table: the core does not look itself."""
    none = rows.ndim == 2 and rows.shape[1] == 0
    if rows.dtype.kind not in "iu" or none or (rows.size and not (rows.min() >= 0 and rows.max() < count)):
        raise CoreError(
            f"rows are {rows.dtype} of {rows.shape}: a token has one at least, and rows are "
            f"whole numbers from 0 to {count - 1}"
        )
    return rows


def mix_counts(tree: CountTree, nodes_KN: Array, weights_N: Array, logits_NV: Array) -> None:
    """Logits become logarithms of the probabilities of the mixture, in place."""
    sizes = [len(length.left_M) for length in tree.lengths]
    assert nodes_KN.shape == (len(sizes), len(logits_NV)) and len(tree.unigrams_V) == logits_NV.shape[1]
    assert all(nodes_N.max(initial=-1) < M for nodes_N, M in zip(nodes_KN, sizes, strict=True))
    core().call(
        "mix_counts",
        counts=counts_struct(tree, np.zeros(SIZES * (len(sizes) + 1), np.float32)),
        nodes=np.ascontiguousarray(nodes_KN, np.int64),
        weights=np.ascontiguousarray(weights_N, np.float32),
        logits=logits_NV,
    )


def counts_struct(tree: CountTree, weights_C: Array) -> ctypes.Structure:
    """Counts and the weights of their classes as the core takes them; the arrays of the tree must outlive
    it."""
    contexts = [
        core().struct(
            "contexts",
            starts=length.starts,
            tokens=length.tokens_C,
            shares=length.shares_C,
            left=length.left_M,
            sizes=length.sizes_M,
        )
        for length in tree.lengths
    ]
    lengths = core().structs("contexts", contexts)
    counts = core().struct(
        "counts",
        lengths=lengths,
        unigrams=tree.unigrams_V,
        weights=weights_C,
        kept=len(lengths),
        shortest=tree.shortest,
    )
    counts.held = lengths, weights_C  # they live as long as what points to them
    return counts
