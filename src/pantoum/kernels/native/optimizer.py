"""The update of weights: ``reference.optimizer`` in the core.

Shapes: any; arrays are taken flat.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from pantoum.kernels.array import Array
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import address, floats, given
from pantoum.kernels.native.row_table import checked_rows

__all__ = ["adamw", "average", "global_norm"]


def global_norm(gradients: Iterable[Array]) -> float:
    """The Euclidean norm of all of them together."""
    arrays = list(gradients)
    where = np.array([given(array, "gradient", array.shape) for array in arrays], np.uintp)
    sizes = np.array([array.size for array in arrays], np.int64)
    total = np.zeros(1, np.float64)
    core().call("sum_of_squares", address(where), address(sizes), address(total), len(arrays))
    return math.sqrt(total[0])


def adamw(
    parameter: Array,
    gradient: Array,
    first: Array,
    second: Array,
    *,
    step: int,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    factor: float = 1.0,
    rows_U: Array | None = None,
) -> None:
    """One step of AdamW in place; the gradient counts times ``factor``. ``rows_U``: of these rows alone."""
    b1, b2 = betas
    shape = parameter.shape
    state = [floats(a, name, shape) for a, name in ((first, "first"), (second, "second"))]
    numbers = (
        b1,
        (1 - b1) * factor,
        b2,
        (1 - b2) * factor * factor,
        1 / math.sqrt(1 - b2**step),
        epsilon,
        rate / (1 - b1**step),
        1 - rate * weight_decay,
    )
    rows_U = None if rows_U is None else checked_rows(rows_U, len(parameter))
    U = shape[0] if rows_U is None else len(rows_U)
    core().call(
        "adamw",
        floats(parameter, "parameter", shape),
        None if rows_U is None else address(rows_U),
        given(gradient, "gradient", (U, *shape[1:])),
        *state,
        U,
        math.prod(shape[1:]),
        *numbers,
    )


def average(averaged: Array, parameter: Array, decay: float) -> None:
    """Move an exponential average: averaged = decay * averaged + (1 - decay) * parameter."""
    shape = parameter.shape
    core().call(
        "average",
        floats(averaged, "averaged", shape),
        given(parameter, "parameter", shape),
        parameter.size,
        1 - decay,
    )
