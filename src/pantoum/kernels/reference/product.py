"""Matrix products, and the matrix that knows its own precision.

``PackedMatrix`` stands for a weight [G,K] that is used many times before it changes: a scan multiplies by
the same one at every step. Here "packed" means one transposed copy, made when it first pays: OpenBLAS is
some 13 % faster at [100,512] x [512,1536] when neither operand is transposed. The matrix may be changed in
place only after the last use of a pack.

Shapes: N rows, K inputs, G outputs.
"""

from __future__ import annotations

import numpy as np

from pantoum.errors import SettingError
from pantoum.kernels import interface
from pantoum.kernels.array import Array
from pantoum.kernels.reference.quantize import QuantizedMatrix
from pantoum.kernels.workspace import Workspace

__all__ = ["PackedMatrix", "bias_gradient", "linear", "linear_weight_gradient", "pack"]

# Between these numbers of rows the product with the transposed copy is the faster one (docs/log).
FEWEST_ROWS, MOST_ROWS = 8, 1024
# Columns of the copy written at a time: numpy's plain transposed copy is five times slower.
TRANSPOSE_BLOCK = 16


class PackedMatrix:
    """A weight [G,K] in the form that products like best. With ``reading`` it is a copy: the weight's memory
    may go."""

    def __init__(
        self,
        weight_GK: Array,
        place: Workspace | None = None,
        reading: bool = False,
        changed_U: Array | None = None,
    ) -> None:
        self._weight_GK = weight_GK.copy() if reading else weight_GK
        self._place = Workspace() if place is None else place
        self._mark = object()
        if follows(self._place, self._mark, self._whose.get("transposed")) and changed_U is not None:
            self._copy()[:, changed_U] = weight_GK[changed_U].T
            self._whose["transposed"] = self._mark

    precision = "float32"

    @property
    def shape(self) -> tuple[int, int]:
        """(G, K)."""
        rows, columns = self._weight_GK.shape
        return rows, columns

    def product(self, x_NK: Array, out: Array | None = None) -> Array:
        """x W^T: [N,K] -> [N,G]."""
        if not FEWEST_ROWS <= len(x_NK) <= MOST_ROWS:
            return np.matmul(x_NK, self._weight_GK.T, out=out)
        return np.matmul(x_NK, self._transposed(), out=out)

    def product_transposed(self, d_NG: Array, out: Array | None = None) -> Array:
        """d W: [N,G] -> [N,K], the gradient that ``product`` hands to its input."""
        return np.matmul(d_NG, self._weight_GK, out=out)

    def _transposed(self) -> Array:
        """The transposed copy, which lies in a place that other matrices may use by turns."""
        weight_KG = self._copy()
        if self._whose.get("transposed") is not self._mark:
            _transpose(self._weight_GK, weight_KG)
            self._whose["transposed"] = self._mark
        return weight_KG

    def _copy(self) -> Array:
        return self._place.array("transposed", self.shape[::-1], self._weight_GK.dtype)

    @property
    def _whose(self) -> dict[str, object]:
        """The matrix that the copy in the place was made from, by its mark."""
        return self._place.kept("whose", dict[str, object])


def pack(
    weight_GK: Array,
    precision: str = "float32",
    gates: int = 1,
    place: Workspace | None = None,
    reading: bool = False,
    replaces: bool = False,
    changed_U: Array | None = None,
) -> interface.PackedMatrix:
    """A weight ready for many products. NumPy has the array's precision and int8, and no use for blocks; it
    makes its copies when they are asked for."""
    if precision == "int8":
        return QuantizedMatrix.of(weight_GK)
    _check_precision(precision)
    return PackedMatrix(weight_GK, place, reading, changed_U)


def follows(place: Workspace, mark: object, made_from: object) -> bool:
    """Whether what a place holds, made from the matrix of the mark ``made_from``, was made from the matrix
    before the one of this mark in this place; that one is the latest from now on."""
    latest = place.kept("latest", dict[str, object])
    before, latest["mark"] = latest.get("mark"), mark
    return before is not None and before is made_from


def linear(
    x_NK: Array, weight: interface.PackedMatrix, bias_G: Array | None = None, out: Array | None = None
) -> Array:
    """x W^T + b."""
    y_NG = weight.product(x_NK, out=out)
    if bias_G is not None:
        y_NG += bias_G
    return y_NG


def linear_weight_gradient(
    d_NG: Array, x_NK: Array, out: Array | None = None, precision: str = "float32"
) -> Array:
    """d^T x: [G,K]."""
    _check_precision(precision)
    return np.matmul(d_NG.T, x_NK, out=out)


def bias_gradient(d_NG: Array, out: Array | None = None) -> Array:
    """The sum over rows [G]; as a product with ones, which runs at the memory's rate."""
    return np.matmul(np.ones(len(d_NG), d_NG.dtype), d_NG, out=out)


def _check_precision(precision: str) -> None:
    if precision != "float32":
        raise SettingError(
            "precision", precision, "needs the native core on a processor that has it", "use float32"
        )


def _transpose(weight_GK: Array, weight_KG: Array) -> None:
    for start in range(0, len(weight_GK), TRANSPOSE_BLOCK):
        stop = start + TRANSPOSE_BLOCK
        weight_KG[:, start:stop] = weight_GK[start:stop].T
