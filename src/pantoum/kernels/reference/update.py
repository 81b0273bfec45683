"""The update of weights: the gradient's norm, AdamW, Muon, a moving average, and a step of adapting.

All in place.

AdamW is that of Loshchilov and Hutter (2019). Muon (Jordan et al. 2024) makes the momentum of a matrix
orthogonal: a recurrent weight [G,K] is its gates' blocks [H,K] one above the other, each gate is a map of its
own, and each block is made orthogonal on its own, by Newton-Schulz iterations, which need only products.
Adapting (Krause et al. 2018) divides by the root of the squares that training collected, so that a row whose
gradient is always large does not move further than one whose gradient is always small, and pulls each row
back to where training left it.

Shapes: G gate rows, H units, K inputs; R rows, U of them in use, C columns (a vector has one).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from pantoum.errors import SettingError
from pantoum.kernels.types import Array

__all__ = [
    "NEWTON_SCHULZ",
    "SMALLEST_NORM",
    "Coefficients",
    "adamw",
    "adapt",
    "average",
    "block_rate",
    "global_norm",
    "muon",
    "orthogonal",
    "row_squares",
]

Coefficients: TypeAlias = Sequence[tuple[float, float, float]]

NEWTON_SCHULZ: Coefficients = ((3.4445, -4.7750, 2.0315),) * 3
"""(a, b, c) of each round. These are made for speed near zero, where a round multiplies a singular value by
3.4; what is not small ends between 0.7 and 1.2, for exactly 1 is not needed. A fourth round cost more than it
gave, without the third much was lost (docs/log)."""
SMALLEST_NORM = 1e-7


def global_norm(gradients: Iterable[Array]) -> float:
    """The Euclidean norm of all of them together."""
    return math.sqrt(sum(float(np.dot(g.reshape(-1), g.reshape(-1))) for g in gradients))


def adamw(
    parameter: Array,
    gradient: Array,
    first: Array,
    second: Array,
    *,
    step: int,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    factor: float = 1.0,
    rows_U: Array | None = None,
) -> None:
    """One step (counted from 1) of decoupled, bias-corrected Adam; the gradient counts times ``factor``.

    g = factor * gradient
    first = b1 * first + (1 - b1) * g
    second = b2 * second + (1 - b2) * g^2
    parameter -= rate * (weight_decay * parameter + m / (sqrt(v) + epsilon))
        with m = first / (1 - b1^step), v = second / (1 - b2^step)

    With ``rows_U`` the gradient is that of these rows, ascending; the others and their moments stay as they
    are.
    """
    (b1, b2), whole = betas, (parameter, first, second)
    own = whole if rows_U is None else tuple(array[rows_U] for array in whole)
    p, m, v = own
    m *= b1
    m += (1 - b1) * factor * gradient
    v *= b2
    v += gradient * gradient * ((1 - b2) * factor * factor)
    size = np.sqrt(v)
    size *= 1 / math.sqrt(1 - b2**step)
    size += epsilon
    np.divide(m, size, out=size)
    size *= rate / (1 - b1**step)
    p *= 1 - rate * weight_decay
    p -= size
    if rows_U is not None:
        for array, part in zip(whole, own, strict=True):
            array[rows_U] = part


def average(averaged: Array, parameter: Array, decay: float) -> None:
    """Move an exponential average: averaged = decay * averaged + (1 - decay) * parameter."""
    averaged += (parameter - averaged) * (1 - decay)


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


def row_squares(gradient_RC: Array, squares_R: Array, keep: float, share: float) -> None:
    """Running squares of rows, in place.

    squares = keep * squares + share * sum_c gradient^2
    """
    sums_R = np.einsum("rc,rc->r", gradient_RC, gradient_RC)
    sums_R *= share
    squares_R *= keep
    squares_R += sums_R


def adapt(
    parameter_RC: Array,
    gradient_UC: Array,
    trained_RC: Array,
    speed_R: Array,
    back_R: Array,
    rows_U: Array | None = None,
) -> None:
    """One step, in place.

    parameter = parameter + back * (trained - parameter) - speed * gradient

    With ``rows_U`` only these rows, each once, have a gradient and change.
    """
    if rows_U is not None:
        part_UC = parameter_RC.take(rows_U, axis=0)
        adapt(part_UC, gradient_UC, trained_RC.take(rows_U, axis=0), speed_R[rows_U], back_R[rows_U])
        parameter_RC[rows_U] = part_UC
        return
    parameter_RC += (trained_RC - parameter_RC) * back_R[:, None]
    parameter_RC -= gradient_UC * speed_R[:, None]
