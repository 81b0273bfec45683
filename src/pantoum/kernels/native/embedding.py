"""Rows of a table by token number, and the gradient into the table: ``reference.embedding`` in the core.

Shapes: V symbols, N tokens, G columns.
"""

from __future__ import annotations

import ctypes

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.array import Array
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import address, given, result
from pantoum.kernels.native.row_table import row_table

__all__ = ["checked_tokens", "lookup", "lookup_gradient"]


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


def lookup(table_VG: Array, tokens_N: Array, out: Array | None = None) -> Array:
    """The table's rows [N,G]."""
    V, G = table_VG.shape
    tokens_N = checked_tokens(tokens_N, V)
    out_NG, where = result(out, "out", (len(tokens_N), G))
    table = row_table(table_VG)
    core().call("lookup_sum", ctypes.addressof(table), address(tokens_N), where, len(tokens_N), 1, G)
    return out_NG


def lookup_gradient(d_NG: Array, tokens_N: Array, vocab_size: int, out: Array | None = None) -> Array:
    """For each symbol the sum of the rows at its occurrences [V,G]."""
    N, G = d_NG.shape
    tokens_N = checked_tokens(tokens_N, vocab_size)
    if len(tokens_N) != N:
        raise CoreError(f"tokens_N has {len(tokens_N)} tokens for {N} rows: give one a row")
    out_VG, where = result(out, "out", (vocab_size, G))
    core().call("lookup_gradient", given(d_NG, "d_NG", (N, G)), address(tokens_N), where, N, G, vocab_size)
    return out_VG
