"""A large table of rows as codes of a few bits: of the rows that are used at all, with a scale for each.

    code = row / scale, to the nearest whole number, ties to even, within -most .. most

A number of the table is ``code * scale``. The scale is the smallest power of two that allows it, so the
product is exact and the codes of a table that was coded before are the same again. Rows of zeros, which were
never used, share place 0, where all is 0: a row is found by one look-up of its place, and adding an unused
row adds 0. Codes of eight bits with any scale per row are read in the same way.

Shapes: R rows, U places, V columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pantoum.kernels.types import Array

MOST = 127
"""The greatest code that there is."""
SMALLEST = np.float32(2.0**-100)
"""A row whose greatest is below counts as zeros."""


@dataclass(frozen=True, eq=False)
class RowCodes:
    """A table that is only read."""

    codes_UV: Array
    """int8, -127 to 127."""
    scales_U: Array
    """float32."""
    places_R: Array
    """int32: where in ``codes_UV`` each row is."""

    def __post_init__(self) -> None:
        codes, scales, places = self.codes_UV, self.scales_U, self.places_R
        assert codes.dtype == np.int8 and codes.ndim == 2 and places.dtype == np.int32 and places.ndim == 1
        assert scales.dtype == np.float32 and scales.shape == codes.shape[:1]
        assert not places.size or (places.min() >= 0 and places.max() < len(codes))

    @staticmethod
    def of(table_RV: Array, most: int = MOST) -> RowCodes:
        """A table of float32, all of it finite. ``most``: the greatest code, at most 127: with a smaller one
        the codes are less exact, and compress better."""
        greatest_R = np.abs(table_RV).max(axis=1, initial=0)
        used_R = greatest_R >= SMALLEST
        share_U, exponents_U = np.frexp(greatest_R[used_R] / np.float32(most))
        exponents_U -= share_U == 0.5
        scales_U = np.ldexp(np.float32(1), np.concatenate([[0], exponents_U]))
        scales_U[0] = 0
        codes_UV = np.zeros((len(scales_U), table_RV.shape[1]), np.int8)
        codes_UV[1:] = np.rint(table_RV[used_R] / scales_U[1:, None])
        # With an even number of codes a greatest one that was rounded down may be half of it: such a row has
        # the form that coding it again gives.
        half_U = 2 * np.abs(codes_UV.astype(np.int16)).max(axis=1, initial=0) <= most
        half_U &= scales_U > 0
        codes_UV[half_U] *= 2
        scales_U[half_U] /= 2
        return RowCodes(codes_UV, scales_U.astype(np.float32), places(used_R))

    @staticmethod
    def whole(codes_RV: Array, scales_R: Array) -> RowCodes:
        """A table of which every row has codes of its own."""
        return RowCodes(codes_RV, scales_R, np.arange(len(codes_RV), dtype=np.int32))

    def __getitem__(self, rows: slice) -> RowCodes:
        return RowCodes(self.codes_UV, self.scales_U, self.places_R[rows])

    @property
    def shape(self) -> tuple[int, int]:
        """(R, V)."""
        return len(self.places_R), self.codes_UV.shape[1]

    def floats(self) -> Array:
        """The table that the codes stand for, float32."""
        rows_UV = self.codes_UV * self.scales_U[:, None]
        return np.ascontiguousarray(rows_UV[self.places_R], np.float32)


def places(used_R: Array) -> Array:
    """The place of each row, from which rows are used: these in order from 1 on, the others 0."""
    places_R: Array = np.cumsum(used_R, dtype=np.int32)
    places_R *= used_R
    return places_R
