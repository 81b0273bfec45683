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

from pantoum.kernels import Array, Kernels, backend


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


EVERY = 4
"""Every so many-th update goes into the usual size of gradients."""
WINDOW = 64
"""Collected updates over which that running mean reaches: the last 256 or so."""


class GradientScale:
    """What adapting divides by: how large the gradient of each row of each parameter usually is.

    Every ``EVERY``-th update, each row's mean square goes into a running mean over the last updates (over all
    of them while they are few). It is counted for the loss of one target: the mean over a batch of N
    independent targets has 1/N of one target's variance, so squares are multiplied by N, and figures of runs
    with different batches compare. The gradient is taken as the optimiser takes it, clipped. A vector's rows
    are its entries. How many updates went into the squares follows from the optimiser's steps.
    """

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
