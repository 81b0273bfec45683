"""The gradient of one parameter: of all its rows, or only of those that a batch used.

A table of which a batch uses few rows has a gradient that is zero beside them. It is kept as the numbers of
these rows and their values, so nobody who adds, measures or applies gradients touches the whole table.

The matrix of one-hot inputs [G,V] is such a table, too, but a symbol is a column of it. Its gradient is that
of its transpose, and the parameter lies in memory column by column (``numpy.asfortranarray``), so that its
transpose is a table like any other.

A gradient may consist of bf16 numbers (``bf16``). A sum of such gradients is rounded to bf16 again, so it is
the same wherever it is computed, and two bytes are enough to send any of them. A bf16 number is the upper
half of a float32 number: the same exponent, 8 significant bits. NumPy has no such dtype, so values stay
float32 whose lower half is zero; what travels is the upper half, as uint16.

Shapes: R rows of a parameter (of its transpose, if the gradient is transposed), U of them in use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from pantoum.kernels import Array, Kernels

__all__ = [
    "BLOCK",
    "Finished",
    "Gradient",
    "Gradients",
    "from_two_bytes",
    "norm",
    "round_to_bf16",
    "two_bytes",
]

BLOCK = 1 << 14
"""Numbers that are rounded at a time: they stay in the cache of a processor."""


@dataclass(frozen=True)
class Gradient:
    """The gradient of the mean loss of a batch for one parameter."""

    values: Array
    """The gradient, of the parameter's shape; with ``rows_U`` its rows [U, ...]."""
    rows_U: Array | None = None
    """The numbers of the rows that the values belong to, ascending, int64; ``None``: all rows."""
    transposed: bool = False
    """Whether values and rows are those of the transpose of the parameter."""
    bf16: bool = False
    """Whether the values are numbers of bf16; then those of sums are, too."""

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

    def rounded(self) -> Gradient:
        """The gradient in bf16, rounded in place where its values are contiguous."""
        values = np.ascontiguousarray(self.values)
        round_to_bf16(values)
        return replace(self, values=values, bf16=True)

    def plus(self, other: Gradient) -> Gradient:
        """The sum of both, in bf16 if this one is; a gradient of all rows is added to in place, ``other`` is
        left as it is."""
        total = self._plus(other)
        return total.rounded() if self.bf16 else total

    def _plus(self, other: Gradient) -> Gradient:
        if self.rows_U is None:
            if other.rows_U is None:
                np.add(self.values, other.values, out=self.values)
            else:
                self.values[other.rows_U] += other.values
            return self
        if other.rows_U is None:
            return replace(other, values=other.values.copy())._plus(self)
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
        found: Array = np.zeros(shape, self.values.dtype)
        along = self.along(found)
        along[slice(None) if self.rows_U is None else self.rows_U] = self.values
        return found


Gradients: TypeAlias = Mapping[str, Gradient]
"""By parameter name."""
Finished: TypeAlias = Callable[[Gradients], None]
"""Takes some gradients of a backward pass while the others are still being computed. They are final, and
their memory is not used again by this pass."""


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


def round_to_bf16(values: Array) -> None:
    """Each float32 number becomes the nearest one of bf16, of two the even one, in place. The array is
    contiguous. What is not finite stays so; the largest numbers become infinite."""
    flat_N = values.reshape(-1)
    for start in range(0, flat_N.size, BLOCK):
        part = flat_N[start : start + BLOCK]
        nan = np.isnan(part)
        if nan.any():
            part[nan] = np.nan  # the bits of some others would be carried over to zero
        bits = part.view(np.uint32)
        half = np.right_shift(bits, 16)
        half &= 1
        half += 0x7FFF  # 0x8000, half of the last bit that stays, if that bit is odd
        bits += half
        bits &= 0xFFFF0000


def two_bytes(values: Array, out: Array) -> None:
    """The upper halves of float32 numbers, as uint16; exact if these are numbers of bf16."""
    np.right_shift(values.reshape(-1).view(np.uint32), 16, out=out.reshape(-1), casting="unsafe")


def from_two_bytes(halves: Array, out: Array) -> None:
    """The inverse of ``two_bytes``, into float32."""
    np.left_shift(halves.reshape(-1), 16, out=out.reshape(-1).view(np.uint32), dtype=np.uint32)
