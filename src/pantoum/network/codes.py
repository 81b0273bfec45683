"""A weight as a file in int8 holds it: codes of eight bits, and one scale for each row.

It stands in a block's parameters in the matrix's place while the block packs; the kernels take the codes as
they are, so that no float32 copy is ever made (``kernels.reference.quantize`` says what a code means).

Shapes: G rows, K columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pantoum.kernels import Array, Kernels, PackedMatrix

__all__ = ["Codes", "pack"]


@dataclass(frozen=True)
class Codes:
    """A quantised weight."""

    codes_GK: Array
    scales_G: Array

    def __getitem__(self, rows: slice) -> Codes:
        return Codes(self.codes_GK[rows], self.scales_G[rows])

    def floats(self) -> Array:
        """The weight that the codes stand for, float32."""
        weight_GK: Array = self.codes_GK * self.scales_G[:, None]
        return np.ascontiguousarray(weight_GK, np.float32)


def pack(kernels: Kernels, weight: Any, precision: str, gates: int = 1) -> PackedMatrix:
    """A weight, or its codes, ready for many products."""
    if isinstance(weight, Codes):
        return kernels.pack_codes(weight.codes_GK, weight.scales_G, gates)
    return kernels.pack(weight, precision, gates)
