"""Matrix products, and the matrix that knows its own precision.

``ReferenceMatrix`` stands for a weight [G,K] that is used many times before it changes: a scan multiplies by
the same one at every step. Here "packed" means one transposed copy, made when it first pays: OpenBLAS is
some 13 % faster at [100,512] x [512,1536] when neither operand is transposed. The matrix may be changed in
place only after the last use of a pack.

Codes of eight bits have one scale per row, and their products are exact:

    scale = max |x| / 127        code = x * (127 / max |x|), to the nearest whole number, ties to even

so codes are -127 to 127; everything here is float32. A row whose greatest is below 2^-100 counts as zeros,
with scale 0. A row with a number that is not finite has codes 0 and the scale NaN: every product with it is
NaN. A matrix in int8 quantises the rows that it is multiplied with in the same way, sums products of codes
exactly and gives ``sum * (scale of x's row * scale of W's row)``: the bits of every path of the core.

Shapes: N rows, K inputs, G outputs.
"""

from __future__ import annotations

import numpy as np

from pantoum.errors import CoreError, SettingError
from pantoum.kernels import types
from pantoum.kernels.types import Array, Workspace

__all__ = [
    "MOST_CODES",
    "QuantizedMatrix",
    "ReferenceMatrix",
    "bias_gradient",
    "check_codes",
    "linear",
    "linear_weight_gradient",
    "pack",
    "pack_codes",
    "quantize",
]

# Between these numbers of rows the product with the transposed copy is the faster one (docs/log).
FEWEST_ROWS, MOST_ROWS = 8, 1024
# Columns of the copy written at a time: numpy's plain transposed copy is five times slower.
TRANSPOSE_BLOCK = 16
SMALLEST = np.float32(2.0**-100)
# A row's sum of products of codes has to fit 32 bits in the core.
MOST_CODES = 1 << 17
# So many products of codes add up to less than 2^24: float32 sums of them are exact in any order.
EXACT = (1 << 24) // (127 * 127)


class ReferenceMatrix:
    """A weight [G,K] in the form that products like best. With ``reading`` it is a copy: the weight's memory
    may go."""

    precision = "float32"

    def __init__(
        self, weight_GK: Array, reading: bool = False, coded: types.PackedMatrix | None = None
    ) -> None:
        self._weight_GK = weight_GK.copy() if reading else weight_GK
        self._weight_KG: Array | None = None
        self.shape, self.coded = weight_GK.shape, coded

    def product(self, x_NK: Array, out: Array | None = None) -> Array:
        """x W^T: [N,K] -> [N,G]."""
        if not FEWEST_ROWS <= len(x_NK) <= MOST_ROWS:
            return np.matmul(x_NK, self._weight_GK.T, out=out)
        if self._weight_KG is None:
            self._weight_KG = _transposed(self._weight_GK)
        return np.matmul(x_NK, self._weight_KG, out=out)

    def product_transposed(self, d_NG: Array, out: Array | None = None) -> Array:
        """d W: [N,G] -> [N,K], the gradient that ``product`` hands to its input."""
        return np.matmul(d_NG, self._weight_GK, out=out)


def pack(
    weight_GK: Array,
    precision: str = "float32",
    gates: int = 1,
    place: Workspace | None = None,
    packs: types.Packs = "when asked",
    changed_U: Array | None = None,
    coded: bool = False,
) -> types.PackedMatrix:
    """A weight ready for many products; ``gates``: how many blocks of H rows a scan takes at once.

    What is made from the weight lies in ``place``, where several matrices may take turns: each is packed anew
    when it is asked for after another one. No call may take two matrices of one place. It ``packs`` "for
    reading" at once, into a place that no other matrix uses, and does not hold the weight: only ``product``
    can be asked. It packs "as before" where the matrix takes the place of one that was used in the same way:
    what was made from that one is made anew at once, so that threads which then multiply at the same time
    have it. With ``changed_U`` the weight is that of the matrix before in this place, but for these rows:
    what ``product`` needs of that one is made anew in these rows alone, at once. If it is ``coded``, a scan
    multiplies with its codes, which take less time than the weight where a step has few rows.

    NumPy has the array's precision and int8, and no use for blocks and places: what it makes, a transposed
    copy at most, is the matrix's own."""
    if precision == "int8":
        return pack_codes(*quantize(weight_GK), gates)
    _check_precision(precision)
    codes = pack_codes(*quantize(weight_GK), gates) if coded else None
    return ReferenceMatrix(weight_GK, packs == "for reading", codes)


def linear(
    x_NK: Array, weight: types.PackedMatrix, bias_G: Array | None = None, out: Array | None = None
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


def _transposed(weight_GK: Array) -> Array:
    weight_KG = np.empty(weight_GK.shape[::-1], weight_GK.dtype)
    for start in range(0, len(weight_GK), TRANSPOSE_BLOCK):
        stop = start + TRANSPOSE_BLOCK
        weight_KG[:, start:stop] = weight_GK[start:stop].T
    return weight_KG


def quantize(weight_GK: Array) -> tuple[Array, Array]:
    """(codes [G,K] int8, scales [G] float32) of the rows."""
    codes_GK, scales_G = _codes(weight_GK)
    return codes_GK.astype(np.int8), scales_G


class QuantizedMatrix:
    """A weight [G,K] as codes."""

    precision, coded = "int8", None

    def __init__(self, codes_GK: Array, scales_G: Array) -> None:
        self._codes_KG, self.shape = np.ascontiguousarray(codes_GK.T, np.float32), codes_GK.shape
        self._scales_G = np.array(scales_G, np.float32)

    def product(self, x_NK: Array, out: Array | None = None) -> Array:
        """x W^T: [N,K] -> [N,G]."""
        codes_NK, scales_N = _codes(x_NK)
        K = len(self._codes_KG)
        sums_NG = np.matmul(codes_NK[:, :EXACT], self._codes_KG[:EXACT])
        if K > EXACT:
            exact_NG = sums_NG.astype(np.float64)
            for start in range(EXACT, K, EXACT):
                block = slice(start, start + EXACT)
                exact_NG += np.matmul(codes_NK[:, block], self._codes_KG[block])
            sums_NG = exact_NG.astype(np.float32)
        with np.errstate(all="ignore"):
            return np.multiply(sums_NG, scales_N[:, None] * self._scales_G, out=out)

    def product_transposed(self, d_NG: Array, out: Array | None = None) -> Array:
        """There is no backward pass through codes."""
        raise CoreError("int8 has no gradients: it is for reading and writing; train in float32 or bf16")


def pack_codes(codes_GK: Array, scales_G: Array, gates: int = 1) -> QuantizedMatrix:
    """The matrix that ``pack(weight, "int8")`` makes of a weight with these codes and scales."""
    check_codes(codes_GK, scales_G, gates)
    return QuantizedMatrix(codes_GK, scales_G)


def check_codes(codes_GK: Array, scales_G: Array, gates: int) -> None:
    """Refuse what no quantised matrix has."""
    assert codes_GK.dtype == np.int8 and codes_GK.ndim == 2 and scales_G.shape == codes_GK.shape[:1]
    assert 0 not in codes_GK.shape and gates >= 1 and not len(codes_GK) % gates
    if codes_GK.min() < -127:
        raise CoreError("codes_GK has -128: codes are -127 to 127; quantize makes them")
    if codes_GK.shape[1] > MOST_CODES:
        raise CoreError(
            f"codes_GK has rows of {codes_GK.shape[1]}: int8 takes at most {MOST_CODES} inputs; use float32"
        )


def _codes(x_NK: Array) -> tuple[Array, Array]:
    """Codes as floats, and scales."""
    x_NK = x_NK.astype(np.float32, copy=False)
    with np.errstate(all="ignore"):
        most_N = np.abs(x_NK).max(axis=1, initial=0)
        finite_N = most_N < np.inf
        counts_N = finite_N & (most_N >= SMALLEST)
        scales_N = np.where(counts_N, most_N / np.float32(127), np.float32(0))
        codes_NK = x_NK * (np.float32(127) / most_N)[:, None]
    scales_N[~finite_N], codes_NK[~counts_N] = np.nan, 0
    return np.rint(codes_NK, out=codes_NK), scales_N
