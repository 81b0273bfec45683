"""The cells that people build by themselves. Their equations and gate orders stand in ``kernels.reference``.

Parameters are those of ``torch.nn.RNN``, ``GRU`` and ``LSTM`` where PyTorch has the cell.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pantoum.config import CELLS, one_of
from pantoum.network.cell import Cell

__all__ = ["GRU", "LSTM", "RNN", "MinGRU"]


class OfOneForm(Cell):
    """A cell that has one form, whose name is that of its class."""

    name: ClassVar[str]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        seed: int | None = 0,
        *,
        dtype: npt.DTypeLike = np.float32,
        place: int = 0,
    ) -> None:
        super().__init__(CELLS[self.name], input_size, hidden_size, seed, dtype=dtype, place=place)


class RNN(OfOneForm):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""

    name = "rnn"


class LSTM(OfOneForm):
    """c' = f * c + i * g, h' = o * tanh(c'); the state is (h, c)."""

    name = "lstm"


class MinGRU(OfOneForm):
    """h' = z * h + (1 - z) * n, with z = sigma(W_z x + b_z) and n = W_n x + b_n (Feng et al. 2024)."""

    name = "mingru"


class GRU(Cell):
    """h' = z * h + (1 - z) * n. The reset gate stands after the candidate's product (PyTorch's and cuDNN's
    form) or before it (the original's and TensorFlow 1's); a model file records which."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        reset: str = "after",
        seed: int | None = 0,
        *,
        dtype: npt.DTypeLike = np.float32,
        place: int = 0,
    ) -> None:
        one_of(reset, "reset", ("after", "before"))
        spec = CELLS["gru" if reset == "after" else "gru-before"]
        super().__init__(spec, input_size, hidden_size, seed, dtype=dtype, place=place)
