"""Cells on top of one another, with what ``network.stack`` has between them, in the same order.

    x -> dropout -> cell

Shapes: T time steps, B rows, E inputs, H units.
"""

from __future__ import annotations

from torch import Tensor, nn

from pantoum.config import CELLS, ModelConfig
from pantoum.torch.cell import Cell
from pantoum.torch.dropout import Draw, dropped
from pantoum.torch.equations import State

__all__ = ["Stack"]


class Stack(nn.ModuleList):
    """The layers of one member."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        sizes = [input_size] + [config.hidden_size] * (config.num_layers - 1)
        super().__init__(Cell(CELLS[config.cell], size, config.hidden_size) for size in sizes)
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
            x_TBE, last = layer(below_TBE, own, reset_TB, lengths_B)
            after += last
        return self._dropped(x_TBE, rates[-1], len(self), draw), tuple(after)

    def _dropped(self, x_TBE: Tensor, rate: float, layer: int, draw: Draw | None) -> Tensor:
        if draw is None or not rate:
            return x_TBE
        return dropped(x_TBE, rate, draw, layer, self.config.dropout.kind == "variational")
