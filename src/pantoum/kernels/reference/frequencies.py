"""Rows of logits as the frequencies of an entropy coder: whole numbers with an exact sum.

    f = floor(total softmax(logits)),  and the first of the largest also gets what is left of ``total``

Shapes: N rows, V symbols.
"""

from __future__ import annotations

import numpy as np

from pantoum.errors import PantoumError
from pantoum.kernels.draw_rows import NOT_FINITE
from pantoum.kernels.types import Array

__all__ = ["frequencies", "with_sum"]


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
