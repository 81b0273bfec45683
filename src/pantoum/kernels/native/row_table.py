"""Large tables of which a batch uses few rows: ``reference.row_table`` in the core.

NumPy's sort finds which rows are in use; the core computes the sums and the update.

Shapes: N tokens, O rows for each, R rows of the table, U of them in use, V columns.
"""

from __future__ import annotations

import ctypes

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.array import Array
from pantoum.kernels.native.arguments import ARGUMENTS
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import address, floats, given
from pantoum.kernels.reference.row_table import used_rows
from pantoum.kernels.row_codes import RowCodes

__all__ = ["checked_rows", "lookup_sum", "lookup_sum_gradient", "rms_rows", "row_table"]


def lookup_sum(table_RV: Array | RowCodes, rows_NO: Array) -> Array:
    """The sum of each token's rows [N,V], the first of them first."""
    (R, V), (N, each) = table_RV.shape, rows_NO.shape
    rows_NO = _checked(rows_NO, R)
    sum_NV = np.empty((N, V), np.float32)
    table = row_table(table_RV)
    core().call("lookup_sum", ctypes.addressof(table), address(rows_NO), address(sum_NV), N, each, V)
    return sum_NV


def row_table(table_RV: Array | RowCodes) -> ctypes.Structure:
    """A table as the core takes it; its arrays must outlive it."""
    struct, (R, V) = ARGUMENTS["row_table"], table_RV.shape
    if not isinstance(table_RV, RowCodes):
        return struct(rows=given(table_RV, "table_RV", (R, V)))
    U = len(table_RV.codes_UV)
    return struct(
        codes=given(table_RV.codes_UV, "codes_UV", (U, V), np.dtype(np.int8)),
        scales=given(table_RV.scales_U, "scales_U", (U,)),
        places=given(table_RV.places_R, "places_R", (R,), np.dtype(np.int32)),
    )


def lookup_sum_gradient(d_NV: Array, rows_NO: Array) -> tuple[Array, Array]:
    """(rows in use [U], ascending; for each the sum of d over the tokens that use it [U,V], in order)."""
    (N, V), each = d_NV.shape, rows_NO.shape[1]
    if len(rows_NO) != N:
        raise CoreError(f"rows_NO has rows for {len(rows_NO)} tokens, d_NV for {N}: give one each")
    rows_U, uses_M, starts_U = used_rows(rows_NO)
    sums_UV = np.empty((len(rows_U), V), np.float32)
    core().call(
        "sum_uses",
        given(d_NV, "d_NV", (N, V)),
        address(uses_M),
        address(starts_U),
        address(sums_UV),
        len(uses_M),
        len(rows_U),
        each,
        V,
    )
    return rows_U, sums_UV


def rms_rows(
    table_RV: Array,
    rows_U: Array,
    gradient_UV: Array,
    squares_RV: Array,
    *,
    rate: float,
    keep: float,
    epsilon: float,
    factor: float = 1.0,
) -> None:
    """One step of RMSProp in place, of these rows alone (all different)."""
    (R, V), U = table_RV.shape, len(rows_U)
    rows_U = checked_rows(rows_U, R)
    core().call(
        "rms_rows",
        floats(table_RV, "table_RV", (R, V)),
        address(rows_U),
        given(gradient_UV, "gradient_UV", (U, V)),
        floats(squares_RV, "squares_RV", (R, V)),
        U,
        V,
        rate,
        keep,
        1 - keep,
        epsilon,
        factor,
    )


def checked_rows(rows_U: Array, count: int) -> Array:
    """Numbers of rows that an update changes, each within the table and once."""
    rows_U = np.ascontiguousarray(_checked(rows_U, count), np.int64)
    if rows_U.ndim != 1 or (len(rows_U) > 1 and not (rows_U[1:] > rows_U[:-1]).all()):
        raise CoreError("rows_U is not ascending: each row moves once; take it from lookup_sum_gradient")
    return rows_U


def _checked(rows: Array, count: int) -> Array:
    """Numbers of rows, each within the table: the core does not look itself."""
    none = rows.ndim == 2 and rows.shape[1] == 0
    if rows.dtype.kind not in "iu" or none or (rows.size and not (rows.min() >= 0 and rows.max() < count)):
        raise CoreError(
            f"rows are {rows.dtype} of {rows.shape}: a token has one at least, and rows are "
            f"whole numbers from 0 to {count - 1}"
        )
    return np.ascontiguousarray(rows, np.int32 if rows.ndim == 2 else np.int64)
