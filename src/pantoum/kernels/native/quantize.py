"""Matrices in int8: ``reference.quantize`` in the core, with the same bits.

Shapes: K inputs, G outputs.
"""

from __future__ import annotations

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.array import Array
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import address, aligned, given
from pantoum.kernels.native.product import NO_GRADIENTS, PRECISIONS, PackedMatrix
from pantoum.kernels.reference.quantize import check_codes

__all__ = ["pack_codes", "quantize"]

INT8 = np.dtype(np.int8)


def quantize(weight_GK: Array) -> tuple[Array, Array]:
    """(codes [G,K] int8, scales [G] float32) of the rows."""
    G, K = weight_GK.shape
    codes_GK, scales_G = np.empty((G, K), np.int8), np.empty(G, np.float32)
    core().call("quantize", given(weight_GK, "weight_GK", (G, K)), address(codes_GK), address(scales_G), G, K)
    return codes_GK, scales_G


class PackedCodes(PackedMatrix):
    """A matrix made of codes, which are not kept."""

    def __init__(self, codes_GK: Array, scales_G: Array, gates: int) -> None:
        self.precision, self.shape = "int8", codes_GK.shape
        self._number = PRECISIONS["int8"]
        (G, K), self.block = self.shape, self.shape[0] // gates
        self._panels = aligned(core().packed_bytes(G, K, self.block, self._number, False))
        codes, scales = given(codes_GK, "codes_GK", (G, K), INT8), given(scales_G, "scales_G", (G,))
        core().call("pack_codes", codes, scales, address(self._panels), G, K, self.block)

    def panels(self, transposed: bool) -> int:
        """The address of the panels of ``product``."""
        if transposed:
            raise CoreError(NO_GRADIENTS)
        return address(self._panels)


def pack_codes(codes_GK: Array, scales_G: Array, gates: int = 1) -> PackedMatrix:
    """The matrix that ``pack(weight, "int8", gates)`` makes of a weight with these codes and scales."""
    check_codes(codes_GK, scales_G, gates)
    return PackedCodes(codes_GK, scales_G, gates)
