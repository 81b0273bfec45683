"""Adapting: ``reference.adapt`` in the core.

Shapes: R rows, C columns; a vector has one column.
"""

from __future__ import annotations

from pantoum.kernels.array import Array
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import floats, given

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


def adapt(parameter_RC: Array, gradient_RC: Array, trained_RC: Array, speed_R: Array, back_R: Array) -> None:
    """One step, in place: parameter + back * (trained - parameter) - speed * gradient."""
    shape = R, C = parameter_RC.shape
    core().call(
        "adapt",
        floats(parameter_RC, "parameter_RC", shape),
        given(gradient_RC, "gradient_RC", shape),
        given(trained_RC, "trained_RC", shape),
        given(speed_R, "speed_R", (R,)),
        given(back_R, "back_R", (R,)),
        R,
        C,
    )
