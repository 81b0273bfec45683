"""The gated recurrent unit in its two forms; gate order r z n.

``reset="after"`` is PyTorch's and cuDNN's form, with parameters as ``torch.nn.GRU``. ``reset="before"`` is
the original's and TensorFlow 1's: one bias, which begins at 1 for the gates r and z, so that a new cell
keeps its state, and at 0 for the candidate. TensorFlow's u is z here. A model file records which form it
is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pantoum.config import one_of
from pantoum.kernels import Array, Kernels
from pantoum.network.cell import Cell
from pantoum.network.codes import pack

__all__ = ["GRU"]


class GRU(Cell):
    """h' = z * h + (1 - z) * n, with the reset gate after or before the candidate's product."""

    gates = 3

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
        self.reset = reset
        self.hidden_bias = reset == "after"
        self.kernel = "gru" if reset == "after" else "gru_before"
        super().__init__(input_size, hidden_size, seed, dtype=dtype, place=place)

    def begin_biases(self) -> None:
        if self.reset == "before":
            self.parameters["bias_ih"][: 2 * self.hidden_size] = 1
            self.parameters["bias_ih"][2 * self.hidden_size :] = 0

    def pack_recurrent(self, kernels: Kernels, precision: str) -> Any:
        weight_hh, both = self.parameters["weight_hh"], 2 * self.hidden_size
        if self.reset == "after":
            return pack(kernels, weight_hh, precision, gates=3)
        return pack(kernels, weight_hh[:both], precision, gates=2), pack(kernels, weight_hh[both:], precision)

    def drive_bias(self) -> Array:
        bias_G: Array = self.parameters["bias_ih"].copy()
        if self.reset == "after":
            bias_G[: 2 * self.hidden_size] += self.parameters["bias_hh"][: 2 * self.hidden_size]
        return bias_G

    def scan_bias(self) -> Array | None:
        return self.parameters["bias_hh"][2 * self.hidden_size :] if self.reset == "after" else None

    def bias_gradients(self, d_drive_bias_G: Array, d_scan_bias: Array | None) -> dict[str, Array]:
        if d_scan_bias is None:
            return {"bias_ih": d_drive_bias_G}
        merely_added = d_drive_bias_G[: 2 * self.hidden_size]
        return {"bias_ih": d_drive_bias_G, "bias_hh": np.concatenate([merely_added, d_scan_bias])}
