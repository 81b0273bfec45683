"""What the recurrent cells share: parameters under PyTorch's names, and the way through the kernels.

A cell is an input product for a whole chunk at once (``drive``), then a scan over time. Subclasses say how
many gates there are, how biases begin, and which kernel scans.

Shapes: B rows, T steps, N = T*B, E inputs, H units, G gate rows, V rows of a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pantoum.config import whole
from pantoum.kernels import Array, Kernels, PackedMatrix, Workspace, backend
from pantoum.network.block import Block, DropoutDraw, PackedBlock
from pantoum.network.parameters import Parameters, generator, uniform

__all__ = ["Cell", "PackedCell"]


class Cell(Block):
    """A recurrent cell: its one setting is its size."""

    kernel: str
    """The kernels' name of the scan."""
    gates: ClassVar[int]
    """G / H."""
    recurrent: ClassVar[bool] = True
    """Whether there is a weight_hh."""
    hidden_bias: bool = True
    """Whether there is a bias_hh."""

    def __init__(self, input_size: int, hidden_size: int, seed: int | None = 0, *,
                 dtype: npt.DTypeLike = np.float32, place: int = 0) -> None:
        """``seed=None`` leaves zeros, to be filled; ``place`` is the cell's layer in a stack of one seed."""
        whole(input_size, "input_size")
        whole(hidden_size, "hidden_size")
        self.input_size, self.hidden_size, self.dtype = input_size, hidden_size, np.dtype(dtype)
        random = None if seed is None else generator(seed, 1, place)
        rows, bound = self.gates * hidden_size, hidden_size**-0.5
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size)}
        if self.recurrent:
            shapes["weight_hh"] = (rows, hidden_size)
        shapes["bias_ih"] = (rows,)
        if self.hidden_bias:
            shapes["bias_hh"] = (rows,)
        self.parameters = Parameters({name: uniform(random, shape, bound, self.dtype)
                                      for name, shape in shapes.items()})
        if random is not None:
            self.begin_biases()

    def begin_biases(self) -> None:
        """Set the initial biases that differ from the uniform ones."""

    def initial_state(self, batch_size: int) -> Any:
        whole(batch_size, "batch_size")
        return np.zeros((batch_size, self.hidden_size), self.dtype)

    def pack(self, precision: str = "float32") -> PackedCell:
        kernels = backend(self.dtype)
        weight_ih = kernels.pack(self.parameters["weight_ih"], precision)
        return PackedCell(self, kernels, weight_ih, self.pack_recurrent(kernels, precision),
                          self.drive_bias(), self.scan_bias())

    def pack_recurrent(self, kernels: Kernels, precision: str) -> Any:
        """weight_hh as the scan takes it."""
        if not self.recurrent:
            return None
        return kernels.pack(self.parameters["weight_hh"], precision, self.gates)

    def drive_bias(self) -> Array:
        """The biases that merely add to the gates [G], and so belong to the drive."""
        if not self.hidden_bias:
            return self.parameters["bias_ih"]
        return self.parameters["bias_ih"] + self.parameters["bias_hh"]

    def scan_bias(self) -> Array | None:
        """The bias that the scan itself needs."""
        return None

    def bias_gradients(self, d_drive_bias_G: Array, d_scan_bias: Array | None) -> dict[str, Array]:
        """The gradients of bias_ih and bias_hh from those of the drive's and the scan's bias."""
        if not self.hidden_bias:
            return {"bias_ih": d_drive_bias_G}
        return {"bias_ih": d_drive_bias_G, "bias_hh": d_drive_bias_G.copy()}


@dataclass(frozen=True)
class CellTape:
    """What a cell's way back needs: the inputs (None where they were not the cell's affair) and the scan's
    tape."""

    x_TBE: Array | None
    scan: Any


@dataclass(frozen=True)
class PackedCell(PackedBlock):
    """A cell's parameters as the kernels take them."""

    cell: Cell
    kernels: Kernels
    weight_ih: PackedMatrix
    weight_hh: Any
    bias_G: Array
    scan_bias_H: Array | None

    def refresh(self) -> None:
        """The parameters changed in place: what was made from them is made anew, in the same memory."""
        for matrix in (self.weight_ih, *_matrices(self.weight_hh)):
            matrix.refresh()
        np.copyto(self.bias_G, self.cell.drive_bias())

    def drive(self, x_NE: Array, out: Array | None = None) -> Array:
        """What inputs add to the gates, W_ih x + b [N,G]. It also makes a table of V tokens' drives."""
        return self.kernels.linear(x_NE, self.weight_ih, self.bias_G, out=out)

    def drive_vjp(self, d_drive_NG: Array, x_NE: Array, workspace: Workspace, inputs: bool = True,
                  ) -> tuple[Array | None, Array, Array]:
        """(d_x [N,E], unless not wanted, d_weight_ih, d_bias [G])."""
        d_weight = workspace.array("d_weight_ih", self.weight_ih.shape, d_drive_NG.dtype)
        self.kernels.linear_weight_gradient(d_drive_NG, x_NE, d_weight, self.weight_ih.precision)
        d_x_NE = None
        if inputs:
            d_x_NE = workspace.array("d_x", x_NE.shape, x_NE.dtype)
            self.weight_ih.product_transposed(d_drive_NG, out=d_x_NE)
        return d_x_NE, d_weight, self.kernels.bias_gradient(d_drive_NG)

    def scan(self, drive_TBG: Array, state: Any, reset_TB: Array | None, lengths: Array | None, tape: bool,
             workspace: Workspace) -> tuple[Array, Any, Any]:
        """The loop over time; takes the drive over."""
        run = getattr(self.kernels, self.cell.kernel + "_scan")
        result: tuple[Array, Any, Any] = run(drive_TBG, state, self.weight_hh, self.scan_bias_H,
                                             reset_TB, lengths, tape, workspace)
        return result

    def scan_vjp(self, tape: Any, d_outputs_TBH: Array, d_state: Any, spend: bool, workspace: Workspace,
                 ) -> tuple[Array, Any, Array | None, Array | None]:
        """(d_drive [T,B,G], d_state0, d_weight_hh, d_scan_bias)."""
        run = getattr(self.kernels, self.cell.kernel + "_scan_vjp")
        result: tuple[Array, Any, Array | None, Array | None] = run(
            tape, self.weight_hh, d_outputs_TBH, d_state, tape.gates_TBG if spend else None, workspace)
        return result

    def forward(self, x_TBE: Array, state: Any, *, reset_TB: Array | None = None,
                lengths: Array | None = None, dropout: DropoutDraw | None = None, tape: bool = False,
                workspace: Workspace | None = None) -> tuple[Array, Any, Any]:
        workspace = Workspace() if workspace is None else workspace
        T, B, E = x_TBE.shape
        drive_NG = workspace.array("drive", (T * B, len(self.bias_G)), x_TBE.dtype)
        self.drive(x_TBE.reshape(T * B, E), out=drive_NG)
        outputs_TBH, state, kept = self.scan(drive_NG.reshape(T, B, -1), state, reset_TB, lengths, tape,
                                             workspace)
        return outputs_TBH, state, CellTape(x_TBE, kept) if tape else None

    def backward(self, tape: Any, d_outputs_TBH: Array, d_state: Any = None, *, spend: bool = False,
                 workspace: Workspace | None = None) -> tuple[Array | None, Any, dict[str, Array]]:
        workspace = Workspace() if workspace is None else workspace
        d_drive_TBG, d_state0, d_weight_hh, d_scan_bias = self.scan_vjp(
            tape.scan, d_outputs_TBH, d_state, spend, workspace)
        T, B, G = d_drive_TBG.shape
        x_NE = tape.x_TBE.reshape(T * B, -1)
        d_x_NE, d_weight_ih, d_bias_G = self.drive_vjp(d_drive_TBG.reshape(T * B, G), x_NE, workspace)
        d_x_TBE = None if d_x_NE is None else d_x_NE.reshape(T, B, -1)
        return d_x_TBE, d_state0, self.gradients(d_weight_ih, d_weight_hh, d_bias_G, d_scan_bias)

    def gradients(self, d_weight_ih: Array, d_weight_hh: Array | None, d_bias_G: Array,
                  d_scan_bias: Array | None) -> dict[str, Array]:
        """By parameter name, in the parameters' order."""
        weights = {"weight_ih": d_weight_ih}
        if d_weight_hh is not None:
            weights["weight_hh"] = d_weight_hh
        return {**weights, **self.cell.bias_gradients(d_bias_G, d_scan_bias)}


def _matrices(weight_hh: Any) -> tuple[PackedMatrix, ...]:
    if weight_hh is None:
        return ()
    return weight_hh if isinstance(weight_hh, tuple) else (weight_hh,)
