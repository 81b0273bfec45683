"""What adapting divides by: how large the gradient of each row of each parameter usually
is. Every ``EVERY``-th update, each row's mean square goes into a running mean over the last updates (over all
of them while they are few). It is counted for the loss of one target: the mean over a batch of N independent
targets has 1/N of one target's variance, so squares are multiplied by N, and figures of runs with different
batches compare. The gradient is taken as the optimiser takes it, clipped. A vector's rows are its entries.
How many updates went into the squares follows from the optimiser's steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pantoum.kernels import Array, backend
from pantoum.network.gradient import Gradients

EVERY = 4
"""Every so many-th update goes into the usual size of gradients."""
WINDOW = 64
"""Collected updates over which that running mean reaches: the last 256 or so."""


class GradientScale:
    """Running mean squares of gradients, one a row."""

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.squares = {name: np.zeros(len(array), array.dtype) for name, array in parameters.items()}
        self._columns = {name: array.size // len(array) for name, array in parameters.items()}
        self._kernels = backend(next(iter(parameters.values())).dtype)

    def updated(self, gradients: Gradients, steps: int, targets: int, factor: float) -> None:
        """An update with the mean gradient over ``targets``, times ``factor``, after ``steps`` others."""
        if steps % EVERY:
            return
        share = 1.0 / min(steps // EVERY + 1, WINDOW)
        for name, squares_R in self.squares.items():
            gradient = gradients[name]
            a_square = share * targets * factor * factor / self._columns[name]
            gradient.add_squares(self._kernels, squares_R, 1.0 - share, a_square)

    def roots(self) -> dict[str, Array]:
        """The root mean squares, fresh arrays by parameter name."""
        return {name: np.sqrt(squares_R) for name, squares_R in self.squares.items()}
