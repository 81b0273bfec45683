"""Adapting: ``reference.adapt`` in the core.

Shapes: R rows, U of them in use, C columns; a vector has one column.
"""

from __future__ import annotations

from pantoum.kernels.array import Array
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import address, floats, given
from pantoum.kernels.native.row_table import checked_rows

__all__ = ["adapt", "row_squares"]


def row_squares(gradient_RC: Array, squares_R: Array, keep: float, share: float) -> None:
    """Running squares of rows, in place: keep * squares + share * (each row's sum of squares)."""
    R, C = gradient_RC.shape
    core().call(
        "row_squares",
        given(gradient_RC, "gradient_RC", (R, C)),
        floats(squares_R, "squares_R", (R,)),
        R,
        C,
        keep,
        share,
    )


def adapt(
    parameter_RC: Array,
    gradient_UC: Array,
    trained_RC: Array,
    speed_R: Array,
    back_R: Array,
    rows_U: Array | None = None,
) -> None:
    """One step, in place: parameter + back * (trained - parameter) - speed * gradient; ``rows_U``: of these
    rows alone."""
    shape = R, C = parameter_RC.shape
    rows_U = None if rows_U is None else checked_rows(rows_U, R)
    U = R if rows_U is None else len(rows_U)
    core().call(
        "adapt",
        floats(parameter_RC, "parameter_RC", shape),
        None if rows_U is None else address(rows_U),
        given(gradient_UC, "gradient_UC", (U, C)),
        given(trained_RC, "trained_RC", shape),
        given(speed_R, "speed_R", (R,)),
        given(back_R, "back_R", (R,)),
        U,
        C,
    )
