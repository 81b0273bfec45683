"""Codes of a matrix and their scales: ``reference.quantize`` in the core, with the same bits.

Shapes: K inputs, G outputs.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.array import Array
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import address, given

__all__ = ["quantize"]


def quantize(weight_GK: Array) -> tuple[Array, Array]:
    """(codes [G,K] int8, scales [G] float32) of the rows."""
    G, K = weight_GK.shape
    codes_GK, scales_G = np.empty((G, K), np.int8), np.empty(G, np.float32)
    core().call("quantize", given(weight_GK, "weight_GK", (G, K)), address(codes_GK), address(scales_G), G, K)
    return codes_GK, scales_G
