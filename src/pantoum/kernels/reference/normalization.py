"""Layer normalisation (Ba et al. 2016) of each row, and its gradient.

    y = (x - mean) / sqrt(variance + EPSILON) * weight + bias

Shapes: N rows, H units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pantoum.kernels.types import Array
from pantoum.kernels.workspace import Workspace

__all__ = ["EPSILON", "LayerNormTape", "layer_norm", "layer_norm_vjp"]

EPSILON = 1e-5


@dataclass(frozen=True)
class LayerNormTape:
    """What the backward pass needs: the rows at mean 0 and variance 1, and 1 / their old deviation."""

    normal_NH: Array
    scale_N1: Array


def layer_norm(
    x_NH: Array,
    weight_H: Array,
    bias_H: Array,
    workspace: Workspace | None = None,
) -> tuple[Array, LayerNormTape]:
    """Normalised rows and the tape."""
    workspace = Workspace() if workspace is None else workspace
    normal_NH = workspace.array("normal", x_NH.shape, x_NH.dtype)
    y_NH = workspace.array("y", x_NH.shape, x_NH.dtype)
    np.subtract(x_NH, x_NH.mean(axis=1, keepdims=True), out=normal_NH)
    variance_N1 = np.einsum("nh,nh->n", normal_NH, normal_NH)[:, None] / x_NH.shape[1]
    scale_N1 = 1 / np.sqrt(variance_N1 + x_NH.dtype.type(EPSILON))
    normal_NH *= scale_N1
    np.multiply(normal_NH, weight_H, out=y_NH)
    y_NH += bias_H
    return y_NH, LayerNormTape(normal_NH, scale_N1)


def layer_norm_vjp(
    tape: LayerNormTape,
    weight_H: Array,
    d_y_NH: Array,
    workspace: Workspace | None = None,
) -> tuple[Array, Array, Array]:
    """Gradients of x, weight and bias: d_x = (d - mean(d) - normal * mean(d * normal)) * scale, d = d_y *
    weight."""
    workspace = Workspace() if workspace is None else workspace
    d_x_NH = workspace.array("d_x", d_y_NH.shape, d_y_NH.dtype)
    share_NH = workspace.array("share", d_y_NH.shape, d_y_NH.dtype)
    units = d_y_NH.shape[1]
    np.multiply(d_y_NH, tape.normal_NH, out=share_NH)
    d_weight_H, d_bias_H = share_NH.sum(axis=0), d_y_NH.sum(axis=0)
    np.multiply(d_y_NH, weight_H, out=d_x_NH)
    along_N1 = np.einsum("nh,nh->n", d_x_NH, tape.normal_NH)[:, None] / units
    d_x_NH -= d_x_NH.mean(axis=1, keepdims=True)
    d_x_NH -= np.multiply(tape.normal_NH, along_N1, out=share_NH)
    d_x_NH *= tape.scale_N1
    return d_x_NH, d_weight_H, d_bias_H
