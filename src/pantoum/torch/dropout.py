"""The dropout masks of ``kernels.reference.dropout``, drawn on the device of a tensor.

A mask is a function of (seed, step, layer, stream, position, unit), so a run that moves from one engine to
the other keeps its masks. The hash works modulo 2^32, here in 64-bit integers.

Shapes: T time steps, B streams, H units.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pantoum.kernels.reference.dropout import FIRST, GOLDEN, LEVELS, SECOND, START, dropout_threshold

__all__ = ["Draw", "dropped"]

WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Draw:
    """Which masks: those of this seed and step, for streams of these global numbers."""

    seed: int
    step: int
    streams_B: Tensor
    """int64."""


def dropped(x_TBH: Tensor, rate: float, draw: Draw, layer: int, variational: bool) -> Tensor:
    """The units that are kept, scaled; the others are 0."""
    T, _, H = x_TBH.shape
    device, threshold = x_TBH.device, dropout_threshold(rate)
    key = torch.full((1,), START, dtype=torch.int64, device=device)
    for word in (draw.seed & WORD, draw.seed >> 32, draw.step, layer):
        key = _mix(key ^ (word & WORD))
    stream_B = _mix(key ^ (draw.streams_B.to(device) & WORD))
    positions_T = torch.arange(1 if variational else T, device=device)
    rows_TB = _mix(stream_B[None, :] ^ positions_T[:, None])
    units_H = torch.arange(H, device=device)
    words_TBH = _mix((rows_TB[:, :, None] + (units_H >> 1) * int(GOLDEN)) & WORD)
    draws_TBH = (words_TBH >> 16 * (units_H & 1)) & 0xFFFF
    scale = LEVELS / (LEVELS - threshold)
    return x_TBH * ((draws_TBH >= threshold).to(x_TBH.dtype) * scale)


def _mix(x: Tensor) -> Tensor:
    """Wellons's lowbias32."""
    x = x ^ (x >> 16)
    x = (x * int(FIRST)) & WORD
    x = x ^ (x >> 15)
    x = (x * int(SECOND)) & WORD
    return x ^ (x >> 16)
