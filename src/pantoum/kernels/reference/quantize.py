"""Codes of eight bits and one scale per row, and products of them that are exact.

    scale = max |x| / 127        code = x * (127 / max |x|), to the nearest whole number, ties to even

so codes are -127 to 127; everything here is float32. A row whose greatest is below 2^-100 counts as zeros,
with scale 0. A row with a number that is not finite has codes 0 and the scale NaN: every product with it is
NaN. A matrix in int8 quantises the rows that it is multiplied with in the same way, sums products of codes
exactly and gives ``sum * (scale of x's row * scale of W's row)``: the bits of every path of the core.

Shapes: N rows, K inputs, G outputs.
"""

from __future__ import annotations

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.array import Array

__all__ = ["MOST_CODES", "SMALLEST", "QuantizedMatrix", "check_codes", "pack_codes", "quantize"]

SMALLEST = np.float32(2.0**-100)
# A row's sum of products of codes has to fit 32 bits in the core.
MOST_CODES = 1 << 17
# So many products of codes add up to less than 2^24: float32 sums of them are exact in any order.
EXACT = (1 << 24) // (127 * 127)


def quantize(weight_GK: Array) -> tuple[Array, Array]:
    """(codes [G,K] int8, scales [G] float32) of the rows."""
    codes_GK, scales_G = _codes(weight_GK)
    return codes_GK.astype(np.int8), scales_G


class QuantizedMatrix:
    """A weight [G,K] as codes."""

    precision = "int8"

    def __init__(self, codes_GK: Array, scales_G: Array) -> None:
        self._codes_KG = np.ascontiguousarray(codes_GK.T, np.float32)
        self._scales_G = np.array(scales_G, np.float32)

    @classmethod
    def of(cls, weight_GK: Array) -> QuantizedMatrix:
        """A matrix of floats, quantised."""
        return cls(*_codes(weight_GK))

    @property
    def shape(self) -> tuple[int, int]:
        """(G, K)."""
        K, G = self._codes_KG.shape
        return G, K

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
    if codes_GK.dtype != np.int8 or codes_GK.ndim != 2 or scales_G.shape != codes_GK.shape[:1]:
        raise CoreError(
            f"codes_GK is {codes_GK.dtype} of shape {codes_GK.shape}, scales_G of shape "
            f"{scales_G.shape}: codes are int8 [G,K], with one scale per row; quantize makes them"
        )
    if 0 in codes_GK.shape or gates < 1 or len(codes_GK) % gates:
        raise CoreError(
            f"codes_GK has shape {codes_GK.shape} for {gates} gates: it needs rows and columns, "
            "as many rows for each gate"
        )
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
