"""What the recurrent cells share: parameters under PyTorch's names, and the way through the kernels.

A cell is an input product for a whole chunk at once (``drive``), then a scan over time. Subclasses say how
many gates there are, how biases begin, and which kernel scans.

Shapes: B rows, T steps, N = T*B, E inputs, H units, G gate rows, V rows of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from pantoum.config import whole
from pantoum.kernels import Array, Kernels, PackedMatrix, Workspace, backend
from pantoum.kernels.interface import Scan, ScanVJP
from pantoum.network.block import Block, DropoutDraw, PackedBlock
from pantoum.network.codes import pack
from pantoum.network.parameters import Parameters, generator, uniform

__all__ = ["Cell", "CellTape", "Inputs", "PackedCell", "Vectors"]


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

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        seed: int | None = 0,
        *,
        dtype: npt.DTypeLike = np.float32,
        place: int = 0,
    ) -> None:
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
        self.parameters = Parameters(
            {name: uniform(random, shape, bound, self.dtype) for name, shape in shapes.items()}
        )
        if random is not None:
            self.begin_biases()

    def begin_biases(self) -> None:
        """Set the initial biases that differ from the uniform ones."""

    def initial_state(self, batch_size: int) -> Any:
        whole(batch_size, "batch_size")
        return np.zeros((batch_size, self.hidden_size), self.dtype)

    def pack(self, precision: str = "float32") -> PackedCell:
        kernels = backend(self.dtype)
        weight_ih = pack(kernels, self.parameters["weight_ih"], precision, self.gates)
        return PackedCell(
            self,
            kernels,
            weight_ih,
            self.pack_recurrent(kernels, precision),
            self.drive_bias(),
            self.scan_bias(),
        )

    def pack_recurrent(self, kernels: Kernels, precision: str) -> Any:
        """weight_hh as the scan takes it."""
        if not self.recurrent:
            return None
        return pack(kernels, self.parameters["weight_hh"], precision, self.gates)

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


class Inputs(Protocol):
    """What a cell's drive can be made from: vectors, or (in ``embedding``) tokens by a shorter way."""

    @property
    def x_TBE(self) -> Array:
        """The inputs as vectors."""
        ...

    def drive(self, cell: PackedCell, workspace: Workspace) -> Array:
        """The drive [T,B,G]."""
        ...

    def drive_vjp(
        self,
        cell: PackedCell,
        d_drive_TBG: Array,
        workspace: Workspace,
    ) -> tuple[Any, Array, Array]:
        """(gradient of what the inputs are made from, d_weight_ih, d_bias [G])."""
        ...

    def add(self, cell: PackedCell, d_inputs: Any, d_x_TBE: Array) -> Any:
        """That gradient, with the one of a residual past the cell added."""
        ...


@dataclass(frozen=True)
class Vectors:
    """Inputs that are an array."""

    x_TBE: Array

    def drive(self, cell: PackedCell, workspace: Workspace) -> Array:
        T, B, E = self.x_TBE.shape
        drive_TBG = workspace.array("drive", (T, B, len(cell.bias_G)), self.x_TBE.dtype)
        cell.drive(self.x_TBE.reshape(T * B, E), out=drive_TBG.reshape(T * B, -1))
        return drive_TBG

    def drive_vjp(
        self,
        cell: PackedCell,
        d_drive_TBG: Array,
        workspace: Workspace,
    ) -> tuple[Array, Array, Array]:
        T, B, E = self.x_TBE.shape
        d_x_NE, d_weight, d_bias_G = cell.drive_vjp(
            d_drive_TBG.reshape(T * B, -1), self.x_TBE.reshape(T * B, E), workspace
        )
        return d_x_NE.reshape(T, B, E), d_weight, d_bias_G

    def add(self, cell: PackedCell, d_inputs: Array, d_x_TBE: Array) -> Array:
        d_inputs += d_x_TBE
        return d_inputs


@dataclass(frozen=True)
class CellTape:
    """What a cell's way back needs."""

    inputs: Inputs
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

    def share(self, places: Sequence[Workspace]) -> None:
        """Its matrices, each in a place of its own, take turns with those of other cells."""
        for matrix, place in zip((self.weight_ih, *_matrices(self.weight_hh)), places, strict=False):
            matrix.share(place)

    def forget(self, inputs: bool = True) -> None:
        """Hold the panels and not the weights; ``inputs=False``: weight_ih stays."""
        for matrix in (*((self.weight_ih,) if inputs else ()), *_matrices(self.weight_hh)):
            matrix.forget()

    def drive(self, x_NE: Array, out: Array | None = None) -> Array:
        """What inputs add to the gates, W_ih x + b [N,G]. It also makes a table of V tokens' drives."""
        return self.kernels.linear(x_NE, self.weight_ih, self.bias_G, out=out)

    def drive_vjp(self, d_drive_NG: Array, x_NE: Array, workspace: Workspace) -> tuple[Array, Array, Array]:
        """(d_x [N,E], d_weight_ih, d_bias [G])."""
        d_weight = workspace.array("d_weight_ih", self.weight_ih.shape, d_drive_NG.dtype)
        self.kernels.linear_weight_gradient(d_drive_NG, x_NE, d_weight, self.weight_ih.precision)
        d_x_NE = workspace.array("d_x", x_NE.shape, x_NE.dtype)
        self.weight_ih.product_transposed(d_drive_NG, out=d_x_NE)
        return d_x_NE, d_weight, self.kernels.bias_gradient(d_drive_NG)

    def forward(
        self,
        inputs: Array | Inputs,
        state: Any,
        *,
        reset_TB: Array | None = None,
        lengths: Array | None = None,
        dropout: DropoutDraw | None = None,
        tape: bool = False,
        workspace: Workspace | None = None,
    ) -> tuple[Array, Any, Any]:
        workspace = Workspace() if workspace is None else workspace
        source = Vectors(inputs) if isinstance(inputs, np.ndarray) else inputs
        scan: Scan = getattr(self.kernels, self.cell.kernel + "_scan")
        outputs_TBH, last, kept = scan(
            source.drive(self, workspace),
            state,
            self.weight_hh,
            self.scan_bias_H,
            reset_TB,
            lengths,
            tape,
            workspace,
        )
        return outputs_TBH, last, CellTape(source, kept) if tape else None

    def backward(
        self,
        tape: CellTape,
        d_outputs_TBH: Array,
        d_state: Any = None,
        *,
        spend: bool = False,
        workspace: Workspace | None = None,
    ) -> tuple[Any, Any, dict[str, Array]]:
        """As a block's; the first result is the gradient of what the inputs are made from."""
        workspace = Workspace() if workspace is None else workspace
        scan_vjp: ScanVJP = getattr(self.kernels, self.cell.kernel + "_scan_vjp")
        over = tape.scan.gates_TBG if spend else None
        d_drive_TBG, d_state0, d_weight_hh, d_scan_bias = scan_vjp(
            tape.scan, self.weight_hh, d_outputs_TBH, d_state, over, workspace
        )
        d_inputs, d_weight_ih, d_bias_G = tape.inputs.drive_vjp(self, d_drive_TBG, workspace)
        gradients = {"weight_ih": d_weight_ih}
        if d_weight_hh is not None:
            gradients["weight_hh"] = d_weight_hh
        return d_inputs, d_state0, gradients | self.cell.bias_gradients(d_bias_G, d_scan_bias)


def _matrices(weight_hh: Any) -> tuple[PackedMatrix, ...]:
    if weight_hh is None:
        return ()
    return weight_hh if isinstance(weight_hh, tuple) else (weight_hh,)
