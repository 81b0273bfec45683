"""Dropout by the counter's hash: ``reference.dropout`` in the core, where the hash is defined.

Shapes: T steps, B streams, H units.
"""

from __future__ import annotations

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.array import Array
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import address, given, result
from pantoum.kernels.reference.dropout import LEVELS, dropout_scales, dropout_threshold
from pantoum.kernels.workspace import Workspace

__all__ = ["dropout", "dropout_scales"]

WORD = 0xFFFFFFFF


def dropout(
    x_TBH: Array,
    rate: float,
    seed: int,
    step: int,
    layer: int,
    streams_B: Array,
    variational: bool = False,
    out: Array | None = None,
    workspace: Workspace | None = None,
) -> Array:
    """x with units dropped; gradients go back by the same call."""
    T, B, H = x_TBH.shape
    if len(streams_B) != B:
        raise CoreError(f"streams_B has {len(streams_B)} numbers for {B} streams: give one a stream")
    streams_B = np.ascontiguousarray(streams_B.astype(np.uint32))
    y_TBH, y = result(out, "out", (T, B, H))
    threshold = dropout_threshold(rate)
    core().call(
        "dropout",
        given(x_TBH, "x_TBH", (T, B, H)),
        y,
        address(streams_B),
        T,
        B,
        H,
        seed & 0xFFFFFFFFFFFFFFFF,
        step & WORD,
        layer & WORD,
        threshold,
        LEVELS / (LEVELS - threshold),
        variational,
    )
    return y_TBH
