"""Layer normalisation and its gradient: ``reference.normalization`` in the core.

Shapes: N rows, H units.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.array import Array
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import address, given
from pantoum.kernels.reference.normalization import LayerNormTape
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
        "layer_norm",
        given(x_NH, "x_NH", (N, H)),
        given(weight_H, "weight_H", (H,)),
        given(bias_H, "bias_H", (H,)),
        address(normal_NH),
        address(scale_N1),
        address(y_NH),
        N,
        H,
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
        address(tape.normal_NH),
        address(tape.scale_N1),
        given(weight_H, "weight_H", (H,)),
        given(d_y_NH, "d_y_NH", (N, H)),
        address(d_x_NH),
        address(d_weight_H),
        address(d_bias_H),
        N,
        H,
    )
    return d_x_NH, d_weight_H, d_bias_H
