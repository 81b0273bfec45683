"""Adapting (Krause and others 2018): the squares of a gradient's rows, and the step towards what was read.

Training collects the squares; a step of adapting divides by their root, so that a row whose gradient is
always large does not move further than one whose gradient is always small, and pulls each row back to where
training left it.

Shapes: R rows, U of them in use, C columns; a vector has one column.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.array import Array

__all__ = ["adapt", "row_squares"]

BLOCK = 1 << 14


def row_squares(gradient_RC: Array, squares_R: Array, keep: float, share: float) -> None:
    """Running squares of rows, in place.

    squares = keep * squares + share * sum_c gradient^2
    """
    sums_R = np.einsum("rc,rc->r", gradient_RC, gradient_RC)
    sums_R *= share
    squares_R *= keep
    squares_R += sums_R


def adapt(
    parameter_RC: Array,
    gradient_UC: Array,
    trained_RC: Array,
    speed_R: Array,
    back_R: Array,
    rows_U: Array | None = None,
) -> None:
    """One step, in place, a block of rows at a time so that its passes stay in the cache.

    parameter = parameter + back * (trained - parameter) - speed * gradient

    With ``rows_U`` only these rows, each once, have a gradient and change.
    """
    if rows_U is not None:
        part_UC = parameter_RC.take(rows_U, axis=0)
        adapt(part_UC, gradient_UC, trained_RC.take(rows_U, axis=0), speed_R[rows_U], back_R[rows_U])
        parameter_RC[rows_U] = part_UC
        return
    rows = max(1, BLOCK // parameter_RC.shape[1])
    scratch_RC = np.empty((rows, parameter_RC.shape[1]), parameter_RC.dtype)
    for start in range(0, len(parameter_RC), rows):
        here = slice(start, start + rows)
        p, s = parameter_RC[here], scratch_RC[: len(parameter_RC[here])]
        np.subtract(trained_RC[here], p, out=s)
        s *= back_R[here, None]
        p += s
        np.multiply(gradient_UC[here], speed_R[here, None], out=s)
        p -= s
