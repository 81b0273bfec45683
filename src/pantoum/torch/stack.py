"""Cells on top of one another, with what ``network.stack`` has between them, in the same order.

    x -> dropout -> cell -> normalisation of its output -> + x, where residual and sizes are equal

Shapes: T time steps, B rows, E inputs, H units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pantoum.config import CELLS, ModelConfig
from pantoum.kernels.reference.normalization import EPSILON
from pantoum.torch.cell import Cell
from pantoum.torch.dropout import Draw, dropped
from pantoum.torch.equations import State

__all__ = ["Stack"]


class Layer(Cell):
    """A cell and the normalisation of its output, if there is one."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(CELLS[config.cell], input_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, EPSILON) if config.norm else None
        self.adds = config.residual and input_size == config.hidden_size


class Stack(nn.ModuleList):
    """The layers of one member."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        sizes = [input_size] + [config.hidden_size] * (config.num_layers - 1)
        super().__init__(Layer(config, size) for size in sizes)
        self.config = config

    def forward(
        self,
        x_TBE: Tensor,
        state: State,
        reset_TB: Tensor | None,
        lengths_B: Tensor | None,
        draw: Draw | None,
    ) -> tuple[Tensor, State]:
        """(outputs [T,B,H], the parts of the state of all layers in order)."""
        config, after = self.config, list[Tensor]()
        parts = len(CELLS[config.cell].state)
        rates = [config.dropout.inputs, *[config.dropout.between] * (len(self) - 1), config.dropout.outputs]
        for number, layer in enumerate(self):
            below_TBE = self._dropped(x_TBE, rates[number], number, draw)
            own = state[number * parts : (number + 1) * parts]
            y_TBH, last = layer(below_TBE, own, reset_TB, lengths_B)
            if layer.norm is not None:
                y_TBH = layer.norm(y_TBH)
            if layer.adds:
                y_TBH = y_TBH + x_TBE
            if lengths_B is not None and (layer.norm is not None or layer.adds):
                going_TB = torch.arange(len(y_TBH), device=y_TBH.device)[:, None] < lengths_B
                y_TBH = y_TBH * going_TB[:, :, None]
            x_TBE = y_TBH
            after += last
        return self._dropped(x_TBE, rates[-1], len(self), draw), tuple(after)

    def _dropped(self, x_TBE: Tensor, rate: float, layer: int, draw: Draw | None) -> Tensor:
        if draw is None or not rate:
            return x_TBE
        return dropped(x_TBE, rate, draw, layer, self.config.dropout.kind == "variational")
