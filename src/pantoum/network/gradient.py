"""The gradient of one parameter: of all its rows, or only of those that a batch used.

A table of which a batch uses few rows has a gradient that is zero beside them. It consists of the numbers of
these rows and their values, so nobody who adds, measures or applies gradients touches the whole table.

The matrix of one-hot inputs [G,V] is such a table, too, but a symbol is a column of it. Its gradient is that
of its transpose, and the parameter lies in memory column by column (``numpy.asfortranarray``), so that its
transpose is a table like any other.

Shapes: R rows of a parameter (of its transpose, if the gradient is transposed), U of them in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from pantoum.kernels import Array, Kernels


@dataclass(frozen=True)
class Gradient:
    """The gradient of the mean loss of a batch for one parameter."""

    values: Array
    """The gradient, of the parameter's shape; with ``rows_U`` its rows [U, ...]."""
    rows_U: Array | None = None
    """The numbers of the rows that the values belong to, ascending, int64; ``None``: all rows."""
    transposed: bool = False
    """Whether values and rows are those of the transpose of the parameter."""

    def reached(self, array: Array) -> Array:
        """The part of an array, one row per row of the parameter, that is not zero here for certain: the
        array itself, or a copy of that part, in C order."""
        if not self.transposed:
            # ``take`` gathers rows in two thirds of the time of an index.
            return array if self.rows_U is None else array.take(self.rows_U, axis=0)
        if array.ndim == 1:
            return array
        return np.ascontiguousarray(array if self.rows_U is None else array[:, self.rows_U])

    def put(self, array: Array, part: Array) -> None:
        """Write back what ``reached`` gave, changed in place."""
        if self.transposed:
            array[:, slice(None) if self.rows_U is None else self.rows_U] = part
        elif self.rows_U is not None:
            array[self.rows_U] = part

    @property
    def upright(self) -> Array:
        """The values in the layout of ``reached``."""
        return np.ascontiguousarray(self.values.T) if self.transposed else self.values

    def along(self, array: Array) -> Array:
        """A view of the parameter, or of an array of its shape, whose rows are those of the gradient."""
        return array.T if self.transposed else array

    def add_squares(self, kernels: Kernels, squares_R: Array, keep: float, share: float) -> None:
        """In place: keep * squares + share * (the sum of squares of the gradient of each row of the
        parameter itself)."""
        if self.transposed:
            squares_R *= squares_R.dtype.type(keep)
            squares_R += np.square(self.values).sum(axis=0) * squares_R.dtype.type(share)
            return
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
            return replace(other, values=other.values.copy()).plus(self)
        rows_U = _union(self.rows_U, other.rows_U)
        values = np.zeros((len(rows_U), *self.values.shape[1:]), self.values.dtype)
        values[np.searchsorted(rows_U, self.rows_U)] = self.values
        values[np.searchsorted(rows_U, other.rows_U)] += other.values
        return replace(self, values=values, rows_U=rows_U)

    def by_rows(self) -> tuple[Array, Array]:
        """(numbers of rows [U], their values)."""
        return (np.arange(len(self.values)) if self.rows_U is None else self.rows_U), self.values

    def whole(self, shape: tuple[int, ...]) -> Array:
        """The gradient of the whole parameter, which has this shape."""
        whole: Array = np.zeros(shape, self.values.dtype)
        along = self.along(whole)
        along[slice(None) if self.rows_U is None else self.rows_U] = self.values
        return whole


Gradients: TypeAlias = Mapping[str, Gradient]
"""By parameter name."""


def _union(first_U: Array, second_U: Array) -> Array:
    """The numbers of either, ascending. A stable sort merges two ascending runs, in a thirtieth of the time
    of ``numpy.union1d``."""
    both = np.sort(np.concatenate([first_U, second_U]), kind="stable")
    new = np.ones(len(both), bool)
    np.not_equal(both[1:], both[:-1], out=new[1:])
    return both[new]


def norm(kernels: Kernels, gradients: Gradients) -> float:
    """The Euclidean norm of all gradients together."""
    return float(kernels.global_norm([gradient.values for gradient in gradients.values()]))
