"""The long short-term memory cell (Hochreiter and Schmidhuber 1997, with Gers's forget gate), gates i f g o.

i, f, o = sigma(x + h W^T)      g = tanh(x_g + h W_g^T)
c' = f * c + i * g
h' = o * tanh(c')
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.reference.cell import Backward, Forward, Given, Taped, sigmoid_slope, tanh_slope
from pantoum.kernels.types import Array


def forward(x: Given) -> Forward:
    """One step."""
    i, f, g, o = (total + known for total, known in zip(x.sums, x.inputs, strict=True))
    i, f, g, o = x.sigmoid(i), x.sigmoid(f), x.tanh(g), x.sigmoid(o)
    c = f * x.c + i * g
    return Forward((i, f, g, o), o * x.tanh(c), c)


def backward(x: Taped, d_h: Array, d_c: Array) -> Backward:
    """Its gradient."""
    i, f, g, o = x.gates
    squashed = np.tanh(x.next_c)
    d_c = d_c + d_h * o * tanh_slope(squashed)
    d_i, d_f = d_c * g * sigmoid_slope(i), d_c * x.c * sigmoid_slope(f)
    d_g, d_o = d_c * i * tanh_slope(g), d_h * squashed * sigmoid_slope(o)
    return Backward((d_i, d_f, d_g, d_o), c=d_c * f)
