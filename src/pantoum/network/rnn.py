"""The plain recurrent cell with tanh; parameters as ``torch.nn.RNN``."""

from __future__ import annotations

from pantoum.network.cell import Cell

__all__ = ["RNN"]


class RNN(Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""

    kernel, gates = "rnn", 1
