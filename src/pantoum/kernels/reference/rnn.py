"""The plain recurrent cell (Elman 1990).

h' = tanh(x + h W^T)
"""

from __future__ import annotations

from pantoum.kernels.reference.cell import Backward, Forward, Given, Taped, tanh_slope
from pantoum.kernels.types import Array


def forward(x: Given) -> Forward:
    """One step."""
    h = x.tanh(x.sums[0] + x.inputs[0])
    return Forward((h,), h)


def backward(x: Taped, d_h: Array, d_c: Array) -> Backward:
    """Its gradient."""
    return Backward((d_h * tanh_slope(x.next_h),))
