"""The update of weights: the gradient's norm, AdamW (Loshchilov and Hutter 2019) and a moving average.

All in place. AdamW and the average work through a block of elements at a time, so that the dozen passes
over it stay in the cache: over a whole model each pass would run at the memory's rate instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from pantoum.kernels.array import Array

__all__ = ["adamw", "average", "global_norm"]

BLOCK = 1 << 14


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
    b1, b2 = betas
    if rows_U is not None:
        arrays = parameter, first, second
        parts = [array[rows_U] for array in arrays]
        adamw(
            parts[0],
            gradient,
            parts[1],
            parts[2],
            step=step,
            rate=rate,
            betas=betas,
            epsilon=epsilon,
            weight_decay=weight_decay,
            factor=factor,
        )
        for array, part in zip(arrays, parts, strict=True):
            array[rows_U] = part
        return
    size, dtype = parameter.size, parameter.dtype
    root = math.sqrt(1 - b2**step)
    step_size = rate / (1 - b1**step)
    scratch, root_of = np.empty(min(BLOCK, size), dtype), np.empty(min(BLOCK, size), dtype)
    flat = [array.reshape(-1) for array in (parameter, gradient, first, second)]
    for start in range(0, size, BLOCK):
        p, g, m, v = (array[start : start + BLOCK] for array in flat)
        s, q = scratch[: len(p)], root_of[: len(p)]
        m *= b1
        np.multiply(g, (1 - b1) * factor, out=s)
        m += s
        v *= b2
        np.multiply(g, g, out=s)
        s *= (1 - b2) * factor * factor
        v += s
        np.sqrt(v, out=q)
        q *= 1 / root
        q += epsilon
        np.divide(m, q, out=s)
        s *= step_size
        if weight_decay:
            p *= 1 - rate * weight_decay
        p -= s


def average(averaged: Array, parameter: Array, decay: float) -> None:
    """Move an exponential average: averaged = decay * averaged + (1 - decay) * parameter."""
    scratch = np.empty(min(BLOCK, parameter.size), parameter.dtype)
    flat_average, flat = averaged.reshape(-1), parameter.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        a, p = flat_average[start : start + BLOCK], flat[start : start + BLOCK]
        s = scratch[: len(p)]
        np.subtract(p, a, out=s)
        s *= 1 - decay
        a += s
