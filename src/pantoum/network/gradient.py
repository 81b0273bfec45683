"""The gradient of one parameter: of all its rows, or only of those that a batch used.

A table of which a batch uses few rows has a gradient that is zero beside them. It is kept as the numbers of
these rows and their values, so nobody who adds, measures or applies gradients touches the whole table.

Shapes: R rows of a parameter, U of them in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pantoum.kernels import Array, Kernels

__all__ = ["Gradient", "Gradients", "norm"]


@dataclass(frozen=True)
class Gradient:
    """The gradient of the mean loss of a batch for one parameter."""

    values: Array
    """The gradient, of the parameter's shape; with ``rows_U`` its rows [U, ...]."""
    rows_U: Array | None = None
    """The numbers of the rows that the values belong to, ascending, int64; ``None``: all rows."""

    def reached(self, array: Array) -> Array:
        """The rows of an array, one row per row of the parameter, that are not zero here for certain: the
        array itself, or a copy of these rows."""
        return array if self.rows_U is None else array[self.rows_U]

    def put(self, array: Array, part: Array) -> None:
        """Write back what ``reached`` gave, changed in place."""
        if self.rows_U is not None:
            array[self.rows_U] = part

    def add_squares(self, kernels: Kernels, squares_R: Array, keep: float, share: float) -> None:
        """In place: keep * squares + share * (the sum of squares of each row's gradient)."""
        if self.rows_U is None:
            kernels.row_squares(self.values.reshape(len(squares_R), -1), squares_R, keep, share)
            return
        squares_R *= squares_R.dtype.type(keep)
        squares_U = np.square(self.values).reshape(len(self.values), -1).sum(axis=1)
        squares_R[self.rows_U] += squares_U * squares_R.dtype.type(share)

    def plus(self, other: Gradient) -> Gradient:
        """The sum of both; a gradient of all rows is added to in place, ``other`` is left as it is."""
        if self.rows_U is None:
            if other.rows_U is None:
                np.add(self.values, other.values, out=self.values)
            else:
                self.values[other.rows_U] += other.values
            return self
        if other.rows_U is None:
            return Gradient(other.values.copy()).plus(self)
        rows_U = np.union1d(self.rows_U, other.rows_U)
        values = np.zeros((len(rows_U), *self.values.shape[1:]), self.values.dtype)
        values[np.searchsorted(rows_U, self.rows_U)] = self.values
        values[np.searchsorted(rows_U, other.rows_U)] += other.values
        return Gradient(values, rows_U)

    def by_rows(self) -> tuple[Array, Array]:
        """(numbers of rows [U], their values)."""
        return (np.arange(len(self.values)) if self.rows_U is None else self.rows_U), self.values

    @property
    def columns(self) -> int:
        """Numbers in a row; a vector's rows are its entries."""
        return self.values.size // max(1, len(self.values))


Gradients: TypeAlias = Mapping[str, Gradient]
"""By parameter name."""


def norm(kernels: Kernels, gradients: Gradients) -> float:
    """The Euclidean norm of all gradients together."""
    return kernels.global_norm([gradient.values for gradient in gradients.values()])
