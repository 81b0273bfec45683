"""Layer normalisation and its gradient: ``reference.normalization`` in the core.

Shapes: N rows, H units.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.native.library import core
from pantoum.kernels.reference.normalization import LayerNormTape
from pantoum.kernels.types import Array
from pantoum.kernels.workspace import Workspace

__all__ = ["layer_norm", "layer_norm_vjp"]


def layer_norm(
    x_NH: Array,
    weight_H: Array,
    bias_H: Array,
    workspace: Workspace | None = None,
) -> tuple[Array, LayerNormTape]:
    """Normalised rows and the tape."""
    workspace = Workspace() if workspace is None else workspace
    N, H = x_NH.shape
    normal_NH, y_NH = (workspace.array(name, (N, H), np.float32) for name in ("normal", "y"))
    scale_N1 = workspace.array("scale", (N, 1), np.float32)
    core().call(
        "layer_norm", x=x_NH, weight=weight_H, bias=bias_H, normal=normal_NH, scale=scale_N1[:, 0], y=y_NH
    )
    return y_NH, LayerNormTape(normal_NH, scale_N1)


def layer_norm_vjp(
    tape: LayerNormTape,
    weight_H: Array,
    d_y_NH: Array,
    workspace: Workspace | None = None,
) -> tuple[Array, Array, Array]:
    """Gradients of x, weight and bias."""
    workspace = Workspace() if workspace is None else workspace
    N, H = tape.normal_NH.shape
    d_x_NH = workspace.array("d_x", (N, H), np.float32)
    d_weight_H, d_bias_H = np.empty(H, np.float32), np.empty(H, np.float32)
    core().call(
        "layer_norm_vjp",
        normal=tape.normal_NH,
        scale=tape.scale_N1[:, 0],
        weight=weight_H,
        d_y=d_y_NH,
        d_x=d_x_NH,
        d_weight=d_weight_H,
        d_bias=d_bias_H,
    )
    return d_x_NH, d_weight_H, d_bias_H
