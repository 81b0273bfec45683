"""The long short-term memory cell; parameters as ``torch.nn.LSTM``, gate order i f g o, state (h, c)."""

from __future__ import annotations

from typing import Any

from pantoum.network.cell import Cell

__all__ = ["LSTM"]


class LSTM(Cell):
    """c' = f * c + i * g, h' = o * tanh(c').

    The forget gate's bias begins at 1 (Gers et al. 2000; Jozefowicz et al. 2015), so that a new cell keeps
    its state.
    """

    kernel, gates = "lstm", 4

    def begin_biases(self) -> None:
        forget = slice(self.hidden_size, 2 * self.hidden_size)
        self.parameters["bias_ih"][forget] = 1
        self.parameters["bias_hh"][forget] = 0

    def initial_state(self, batch_size: int) -> Any:
        return super().initial_state(batch_size), super().initial_state(batch_size)
