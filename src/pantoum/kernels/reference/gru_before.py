"""The gated recurrent unit with the reset gate before the candidate's product, gates r z n.

    r = sigma(x_r + h W_r^T)      z = sigma(x_z + h W_z^T)
    n = tanh(x_n + (r * h) W_n^T)
    h' = n + z * (h - n)

This is the original form, Cho et al. (2014), and TensorFlow 1's GRUCell, whose u is z here. The second
product waits for the first.
"""

from __future__ import annotations

from pantoum.kernels.reference.cell import Backward, Forward, Gates, Given, Taped, sigmoid_slope, tanh_slope
from pantoum.kernels.types import Array


def early(x: Given) -> tuple[Gates, Array]:
    """The gates r z, and the operand of the second product."""
    r, z = x.sigmoid(x.sums[0] + x.inputs[0]), x.sigmoid(x.sums[1] + x.inputs[1])
    return (r, z), r * x.h


def forward(x: Given) -> Forward:
    """One step, from there on."""
    (r, z), n = x.early, x.tanh(x.sums[2] + x.inputs[2])
    return Forward((r, z, n), n + z * (x.h - n))


def backward(x: Taped, d_h: Array, d_c: Array) -> Backward:
    """The gradients of z and n."""
    _, z, n = x.gates
    return Backward((d_h * (x.h - n) * sigmoid_slope(z), d_h * (1 - z) * tanh_slope(n)), d_h * z)


def early_backward(x: Taped, d_operand: Array) -> tuple[Gates, Array]:
    """The gradient of r, and what h gets by way of the operand."""
    r = x.gates[0]
    return (d_operand * x.h * sigmoid_slope(r),), d_operand * r
