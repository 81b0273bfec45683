"""What the equations of a cell are written in.

A cell is a module with these functions; ``scan`` runs them over time, forward and backward.

    forward(x: Given) -> Forward                    one step
    backward(x: Taped, d_h, d_c) -> Backward        its gradient, from that of the new state

A cell with two products has two more, for what the second one waits for:

    early(x: Given) -> (gates, operand)             the gates of the first product, the operand of the second
    early_backward(x: Taped, d_operand) -> (gates, h)
        the gradients of the gates that act by the operand alone, and the operand's part in that of h

All arrays are [B,H], B rows and H units, and empty where a cell has no such thing. ``forward`` and ``early``
use arithmetic and the functions of ``Given`` alone, so PyTorch's tensors can take the place of the arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np

from pantoum.config import CellSpec
from pantoum.kernels.types import Array

Gates = Sequence[Array]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), a fresh array, as tanh(x/2)/2 + 1/2: NumPy's float32 ``tanh`` is vectorised, faster
    than ``exp`` and a division, and needs no guard against overflow."""
    s: Array = x * 0.5
    np.tanh(s, out=s)
    s *= 0.5
    s += 0.5
    return s


@dataclass(frozen=True)
class Given:
    """What a step begins with."""

    sums: Gates
    """For each gate, the product of the state with its weights; empty where a cell has no product."""
    inputs: Gates
    """For each gate, its input projection: all that is known before the loop."""
    h: Array
    c: Array
    bias: Array
    """The bias of the last gate's product, for a ``biased`` cell."""
    early: Gates = ()
    """The gates of the first product, for a cell with two products."""
    sigmoid: Callable[[Array], Array] = sigmoid
    tanh: Callable[[Array], Array] = np.tanh


@dataclass(frozen=True)
class Forward:
    """What a step gives. ``candidate`` is the last gate's product and bias of a ``biased`` cell."""

    gates: Gates
    h: Array
    c: Array | None = None
    candidate: Array | None = None


@dataclass(frozen=True)
class Taped:
    """What the backward pass knows of a step: what went in, the gates, and what came out."""

    gates: Gates
    h: Array
    next_h: Array
    c: Array
    next_c: Array
    candidate: Array


@dataclass(frozen=True)
class Backward:
    """The gradients of the gates' input projections and sums, and of the state before, its part in products
    left out.

    Of a cell of two products the gates that act by the second's operand alone are left out. ``candidate`` is
    the gradient of the last sum of a ``biased`` cell, which differs from that of its input projection."""

    gates: Gates
    h: Array | None = None
    c: Array | None = None
    candidate: Array | None = None


def equations(cell: CellSpec) -> ModuleType:
    """The module of a cell."""
    return import_module(f"pantoum.kernels.reference.{cell.kernel}")


def sigmoid_slope(s: Array) -> Array:
    """s (1 - s)."""
    slope: Array = s - s * s
    return slope


def tanh_slope(t: Array) -> Array:
    """1 - t^2."""
    slope: Array = 1 - t * t
    return slope
