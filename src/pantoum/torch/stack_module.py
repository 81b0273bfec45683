"""Cells on top of one another, with what ``network.stack`` has between them, in the same order.

    x -> dropout -> cell

The dropout masks are those of ``kernels.reference.dropout``, drawn on the device of a tensor. A mask is a
function of (seed, step, layer, stream, position, unit), so a run that moves from one engine to the other
keeps its masks. The hash works modulo 2^32, here in 64-bit integers.

Shapes: T time steps, B rows (streams), E inputs, H units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pantoum.config import CELLS, ModelConfig
from pantoum.kernels import DropoutDraw
from pantoum.kernels.reference.dropout import FIRST, GOLDEN, LEVELS, SECOND, START, dropout_threshold
from pantoum.torch.cell_module import CellModule
from pantoum.torch.chunk_rows import ChunkRows
from pantoum.torch.steps import State

__all__ = ["StackModule"]

WORD = 0xFFFFFFFF
NO_TENSORS: State = ()


class StackModule(nn.ModuleList):
    """The layers of one member."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        sizes = [input_size] + [config.hidden_size] * (config.num_layers - 1)
        super().__init__(CellModule(CELLS[config.cell], size, config.hidden_size) for size in sizes)
        self.config = config

    def forward(
        self, x_TBE: Tensor, state: State, rows: ChunkRows, draw: DropoutDraw | None
    ) -> tuple[Tensor, State]:
        """(outputs [T,B,H], the parts of the state of all layers in order)."""
        dropout, parts, after = self.config.dropout, len(CELLS[self.config.cell].state), NO_TENSORS
        rates = [dropout.inputs, *[dropout.between] * (len(self) - 1), dropout.outputs]
        for number, layer in enumerate(self):
            own = state[number * parts : (number + 1) * parts]
            x_TBE, last = layer(self._dropped(x_TBE, rates[number], number, draw), own, rows)
            after += last
        return self._dropped(x_TBE, rates[-1], len(self), draw), after

    def _dropped(self, x_TBH: Tensor, rate: float, layer: int, draw: DropoutDraw | None) -> Tensor:
        """The units that are kept, scaled; the others are 0."""
        if draw is None or not rate:
            return x_TBH
        (T, _, H), device, threshold = x_TBH.shape, x_TBH.device, dropout_threshold(rate)
        key = torch.full((1,), START, dtype=torch.int64, device=device)
        for word in (draw.seed & WORD, draw.seed >> 32, draw.step, layer):
            key = _mix(key ^ (word & WORD))
        stream_B = _mix(key ^ (draw.streams_B.to(device) & WORD))
        positions_T = torch.arange(1 if draw.variational else T, device=device)
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
