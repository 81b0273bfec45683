"""The minimal gated unit of Feng et al. (2024), "Were RNNs all we needed?", gates z n.

    z = sigma(x_z)      n = x_n
    h' = n + z * (h - n)

The gates do not see the state: all that is costly is done for the whole chunk at once, and only the last line
needs the loop over time.
"""

from __future__ import annotations

from pantoum.kernels.reference.cell import Backward, Forward, Given, Taped, sigmoid_slope
from pantoum.kernels.types import Array


def forward(x: Given) -> Forward:
    """One step."""
    z, n = x.sigmoid(x.inputs[0]), x.inputs[1]
    return Forward((z, n), n + z * (x.h - n))


def backward(x: Taped, d_h: Array, d_c: Array) -> Backward:
    """Its gradient."""
    z, n = x.gates
    return Backward((d_h * (x.h - n) * sigmoid_slope(z), d_h * (1 - z)), d_h * z)
