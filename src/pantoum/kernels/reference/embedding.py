"""Rows of a table by token number, and the gradient that flows back into the table.

Shapes: V symbols, N tokens, G columns.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.array import Array

__all__ = ["lookup", "lookup_gradient"]

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
