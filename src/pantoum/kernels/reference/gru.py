"""The gated recurrent unit with the reset gate after the product (cuDNN's and PyTorch's form), gates r z n.

    r = sigma(x_r + h W_r^T)      z = sigma(x_z + h W_z^T)
    n = tanh(x_n + r * (h W_n^T + b_n))
    h' = n + z * (h - n)

The hidden biases of r and z merely add and are in the input projection x; the reset gate multiplies b_n.
"""

from __future__ import annotations

from pantoum.kernels.reference.cell import Backward, Forward, Given, Taped, sigmoid_slope, tanh_slope
from pantoum.kernels.types import Array


def forward(x: Given) -> Forward:
    """One step."""
    (sum_r, sum_z, sum_n), (input_r, input_z, input_n) = x.sums, x.inputs
    r, z, candidate = x.sigmoid(sum_r + input_r), x.sigmoid(sum_z + input_z), sum_n + x.bias
    n = x.tanh(r * candidate + input_n)
    return Forward((r, z, n), n + z * (x.h - n), candidate=candidate)


def backward(x: Taped, d_h: Array, d_c: Array) -> Backward:
    """Its gradient."""
    r, z, n = x.gates
    d_n = d_h * (1 - z) * tanh_slope(n)
    d_r, d_z = d_n * x.candidate * sigmoid_slope(r), d_h * (x.h - n) * sigmoid_slope(z)
    return Backward((d_r, d_z, d_n), d_h * z, candidate=d_n * r)
