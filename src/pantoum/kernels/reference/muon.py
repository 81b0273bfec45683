"""Muon (Jordan et al. 2024): the update of a matrix is its momentum made orthogonal.

A recurrent weight [G,K] is its gates' blocks [H,K] one above the other, and each gate is a map of its own:
each block is made orthogonal on its own, by Newton-Schulz iterations, which need only products. In place.

Shapes: G gate rows, H units, K inputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from pantoum.errors import SettingError
from pantoum.kernels.array import Array

__all__ = ["NEWTON_SCHULZ", "SMALLEST_NORM", "Coefficients", "block_rate", "muon", "orthogonal"]

Coefficients: TypeAlias = Sequence[tuple[float, float, float]]

NEWTON_SCHULZ: Coefficients = ((3.4445, -4.7750, 2.0315),) * 3
"""(a, b, c) of each round. These are made for speed near zero, where a round multiplies a singular value by
3.4; what is not small ends between 0.7 and 1.2, for exactly 1 is not needed. A fourth round cost more than it
gave, without the third much was lost (docs/log)."""
SMALLEST_NORM = 1e-7


def block_rate(rate: float, H: int, K: int) -> float:
    """The scale rule: a block higher than wide moves further, by the root of the ratio (Jordan et al. 2024),
    so that its outputs change as much as a square block's."""
    return rate * math.sqrt(max(1.0, H / K))


def orthogonal(u_HK: Array, coefficients: Coefficients = NEWTON_SCHULZ) -> Array:
    """The orthogonal matrix near u: its singular values go towards 1, its singular vectors stay.

    y = u / |u|;  each round:  y <- a y + y (b G + c G G)  with G = y^T y
    """
    y = u_HK if u_HK.shape[0] >= u_HK.shape[1] else u_HK.T
    y = y / max(math.sqrt(float(np.vdot(y, y))), SMALLEST_NORM)
    for a, b, c in coefficients:
        gram = y.T @ y
        y = a * y + y @ (b * gram + c * (gram @ gram))
    return y if u_HK.shape[0] >= u_HK.shape[1] else y.T


def muon(
    parameters: Sequence[Array],
    gradients: Sequence[Array],
    momenta: Sequence[Array],
    gates: Sequence[int],
    *,
    rate: float,
    momentum: float = 0.95,
    weight_decay: float = 0.0,
    factor: float = 1.0,
    coefficients: Coefficients = NEWTON_SCHULZ,
    precision: str = "float32",
) -> None:
    """One step over matrices of so many ``gates`` each, in place; the gradients count times ``factor``.

    g = factor * gradient
    m = momentum * m + (1 - momentum) * g
    u = momentum * m + (1 - momentum) * g                                   (Nesterov's look ahead)
    parameter -= rate * (weight_decay * parameter + sqrt(max(1, H / K)) * orthogonal(u))   block by block
    """
    if precision != "float32":
        raise SettingError(
            "precision", precision, "needs the native core on a processor that has it", "use float32"
        )
    for parameter, gradient, m, blocks in zip(parameters, gradients, momenta, gates, strict=True):
        H, K = len(parameter) // blocks, parameter.shape[1]
        m *= momentum
        m += (1 - momentum) * factor * gradient
        u = momentum * m + (1 - momentum) * factor * gradient
        parameter *= 1 - rate * weight_decay
        for block in range(blocks):
            rows = slice(block * H, (block + 1) * H)
            parameter[rows] -= block_rate(rate, H, K) * orthogonal(u[rows], coefficients)
