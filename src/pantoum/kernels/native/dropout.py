"""Dropout by the counter's hash: ``reference.dropout`` in the core, where the hash is defined.

Shapes: T steps, B streams, H units.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.native.library import core
from pantoum.kernels.reference.dropout import LEVELS, dropout_scales, dropout_threshold
from pantoum.kernels.types import Array, DropoutDraw
from pantoum.kernels.workspace import Workspace

__all__ = ["dropout", "dropout_scales"]

WORD = 0xFFFFFFFF


def dropout(
    x_TBH: Array,
    rate: float,
    layer: int,
    draw: DropoutDraw,
    out: Array | None = None,
    workspace: Workspace | None = None,
) -> Array:
    """x with units dropped; gradients go back by the same call."""
    y_TBH: Array = np.empty(x_TBH.shape, np.float32) if out is None else out
    threshold = dropout_threshold(rate)
    core().call(
        "dropout",
        x=x_TBH,
        y=y_TBH,
        streams=np.ascontiguousarray(draw.streams_B.astype(np.uint32)),
        seed=draw.seed & 0xFFFFFFFFFFFFFFFF,
        step=draw.step & WORD,
        layer=layer & WORD,
        threshold=threshold,
        scale=LEVELS / (LEVELS - threshold),
        variational=draw.variational,
    )
    return y_TBH
