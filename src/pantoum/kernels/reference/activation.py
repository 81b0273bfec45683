"""The logistic function and the slopes of activations, from their values.

NumPy's float32 ``tanh`` is vectorised and needs no guard against overflow; the logistic function through it,
sigma(x) = tanh(x/2)/2 + 1/2, is faster than through ``exp`` and a division, and exact at both ends.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.array import Array

__all__ = ["sigmoid", "sigmoid_slope", "tanh_slope"]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), a fresh array."""
    s: Array = x * 0.5
    np.tanh(s, out=s)
    s *= 0.5
    s += 0.5
    return s


def sigmoid_slope(s: Array) -> Array:
    """s (1 - s)."""
    slope: Array = s - s * s
    return slope


def tanh_slope(t: Array) -> Array:
    """1 - t^2."""
    slope: Array = 1 - t * t
    return slope
