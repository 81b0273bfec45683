"""A recurrent cell: parameters under PyTorch's names, and the calls of the kernels.

A cell is an input product for a whole chunk at once (``project``), then a scan over time. What differs from
cell to cell stands in ``config.cells``, the equations in the kernels.

Shapes: B rows, T steps, N = T*B, E inputs, H units, G gate rows, V rows of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from pantoum.config import CellSpec, whole
from pantoum.kernels import Array, Kernels, PackedMatrix, State, Workspace, backend
from pantoum.kernels.types import RecurrentWeight
from pantoum.network.block import Block, DropoutDraw, PackedBlock, Tape
from pantoum.network.packing import Packer, Weight, floats
from pantoum.network.parameters import Parameters, generator, uniform
from pantoum.network.state import BlockState

__all__ = ["Cell", "CellTape", "Inputs", "PackedCell", "Vectors"]


class Cell(Block):
    """A recurrent cell: its one setting is its size."""

    def __init__(
        self,
        spec: CellSpec,
        input_size: int,
        hidden_size: int,
        seed: int | None = 0,
        *,
        dtype: npt.DTypeLike = np.float32,
        place: int = 0,
        one_hot: bool = False,
    ) -> None:
        """``seed=None`` leaves zeros, to be filled; ``place`` is the cell's layer in a stack of one seed.
        With ``one_hot`` inputs weight_ih lies in memory column by column (``network.gradient``)."""
        whole(input_size, "input_size")
        whole(hidden_size, "hidden_size")
        self.spec, self.input_size, self.hidden_size = spec, input_size, hidden_size
        self.dtype, rows = np.dtype(dtype), len(spec.gates) * hidden_size
        random = None if seed is None else generator(seed, 1, place)
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size)}
        if spec.products:
            shapes["weight_hh"] = (rows, hidden_size)
        shapes["bias_ih"] = (rows,)
        if spec.hidden_bias:
            shapes["bias_hh"] = (rows,)
        arrays = {
            name: uniform(random, shape, hidden_size**-0.5, self.dtype) for name, shape in shapes.items()
        }
        if one_hot:
            arrays["weight_ih"] = np.asfortranarray(arrays["weight_ih"])
        self.parameters = Parameters(arrays)
        for gate, value in spec.biases.items() if random is not None else ():
            place = spec.gates.index(gate) * hidden_size
            for name in shapes:
                if name.startswith("bias"):
                    self.parameters[name][place : place + hidden_size] = value if name == "bias_ih" else 0

    def initial_state(self, batch_size: int) -> State:
        """Zeros: h [B,H], or (h, c)."""
        whole(batch_size, "batch_size")
        parts = [np.zeros((batch_size, self.hidden_size), self.dtype) for _ in self.spec.state]
        return parts[0] if len(parts) == 1 else (parts[0], parts[1])

    def pack(
        self,
        packer: Packer | None = None,
        weights: Mapping[str, Weight] | None = None,
        *,
        one_hot: bool = False,
    ) -> PackedCell:
        """As a block's; ``one_hot``: weight_ih is never multiplied by a vector, and is not packed."""
        packer = Packer(backend(self.dtype)) if packer is None else packer
        weights = self.parameters if weights is None else weights
        gates = len(self.spec.gates)
        # Biases that only add to the gates are part of the input projection; what the scan adds is not.
        bias_G, scan_bias_H = floats(weights["bias_ih"]).copy(), None
        if self.spec.hidden_bias:
            bias_hh = floats(weights["bias_hh"])
            bias_G[: self._added] += bias_hh[: self._added]
            scan_bias_H = bias_hh[self._added :].copy() if self.spec.biased else None
        return PackedCell(
            self,
            packer.kernels,
            None if one_hot else packer.matrix("weight_ih", weights["weight_ih"], gates),
            self._pack_recurrent(packer, weights),
            bias_G,
            scan_bias_H,
        )

    def bias_gradients(self, d_input_bias_G: Array, d_scan_bias_H: Array | None) -> dict[str, Array]:
        """The gradients of bias_ih and bias_hh from those of both biases."""
        if not self.spec.hidden_bias:
            return {"bias_ih": d_input_bias_G}
        inside = () if d_scan_bias_H is None else (d_scan_bias_H,)
        return {
            "bias_ih": d_input_bias_G,
            "bias_hh": np.concatenate([d_input_bias_G[: self._added], *inside]),
        }

    def _pack_recurrent(self, packer: Packer, weights: Mapping[str, Weight]) -> RecurrentWeight:
        found, start = [], 0
        for place, gates in enumerate(self.spec.products):
            end = start + gates * self.hidden_size
            found.append(packer.matrix(f"weight_hh {place}", weights["weight_hh"][start:end], gates))
            start = end
        return tuple(found)

    @property
    def _added(self) -> int:
        """How many rows of ``bias_hh`` merely add."""
        return (len(self.spec.gates) - self.spec.biased) * self.hidden_size


class Inputs(Protocol):
    """Inputs that a cell can project: vectors, or (in ``embedding``) tokens by a look-up."""

    @property
    def x_TBE(self) -> Array:
        """The inputs as vectors."""
        ...

    def project(self, cell: PackedCell, workspace: Workspace) -> Array:
        """The input projection [T,B,G]."""
        ...

    def project_vjp(
        self,
        cell: PackedCell,
        d_projection_TBG: Array,
        workspace: Workspace,
    ) -> tuple[Array, Array | None, Array]:
        """(gradient of what the inputs are made from, d_weight_ih, d_bias [G]). Of one-hot tokens
        d_weight_ih is ``None``: the first makes it (``embedding.OneHotTokens``)."""
        ...

    def add(self, cell: PackedCell, d_inputs: Array, d_x_TBE: Array) -> Array:
        """That gradient, with the one of a residual past the cell added."""
        ...


@dataclass(frozen=True)
class Vectors:
    """Inputs that are an array."""

    x_TBE: Array

    def project(self, cell: PackedCell, workspace: Workspace) -> Array:
        T, B, E = self.x_TBE.shape
        projection_TBG = workspace.array("projection", (T, B, len(cell.bias_G)), self.x_TBE.dtype)
        cell.project(self.x_TBE.reshape(T * B, E), out=projection_TBG.reshape(T * B, -1))
        return projection_TBG

    def project_vjp(
        self,
        cell: PackedCell,
        d_projection_TBG: Array,
        workspace: Workspace,
    ) -> tuple[Array, Array, Array]:
        T, B, E = self.x_TBE.shape
        d_x_NE, d_weight, d_bias_G = cell.project_vjp(
            d_projection_TBG.reshape(T * B, -1), self.x_TBE.reshape(T * B, E), workspace
        )
        return d_x_NE.reshape(T, B, E), d_weight, d_bias_G

    def add(self, cell: PackedCell, d_inputs: Array, d_x_TBE: Array) -> Array:
        d_inputs += d_x_TBE
        return d_inputs


@dataclass(frozen=True)
class CellTape:
    """What a cell's backward pass needs."""

    inputs: Inputs
    scan: Tape


@dataclass(frozen=True)
class PackedCell(PackedBlock):
    """A cell's parameters as the kernels take them."""

    cell: Cell
    kernels: Kernels
    weight_ih: PackedMatrix | None
    """``None``: the inputs are one-hot."""
    weight_hh: RecurrentWeight
    bias_G: Array
    scan_bias_H: Array | None

    def project(self, x_NE: Array, out: Array | None = None) -> Array:
        """The input projection, W_ih x + b [N,G]; with N = V embeddings, the table of all tokens."""
        assert self.weight_ih is not None
        return self.kernels.linear(x_NE, self.weight_ih, self.bias_G, out=out)

    def project_vjp(
        self, d_projection_NG: Array, x_NE: Array, workspace: Workspace
    ) -> tuple[Array, Array, Array]:
        """(d_x [N,E], d_weight_ih, d_bias [G])."""
        assert self.weight_ih is not None
        d_weight = workspace.array("d_weight_ih", self.weight_ih.shape, d_projection_NG.dtype)
        self.kernels.linear_weight_gradient(d_projection_NG, x_NE, d_weight, self.weight_ih.precision)
        d_x_NE = workspace.array("d_x", x_NE.shape, x_NE.dtype)
        self.weight_ih.product_transposed(d_projection_NG, out=d_x_NE)
        return d_x_NE, d_weight, self.kernels.bias_gradient(d_projection_NG)

    def forward(
        self,
        inputs: Array | Inputs,
        state: BlockState,
        *,
        reset_TB: Array | None = None,
        lengths: Array | None = None,
        dropout: DropoutDraw | None = None,
        tape: bool = False,
        workspace: Workspace | None = None,
    ) -> tuple[Array, BlockState, Tape]:
        workspace = Workspace() if workspace is None else workspace
        source = Vectors(inputs) if isinstance(inputs, np.ndarray) else inputs
        outputs_TBH, last, kept = self.kernels.scan(
            self.cell.spec,
            source.project(self, workspace),
            cast(State, state),
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
        d_state: BlockState | None = None,
        *,
        spend: bool = False,
        workspace: Workspace | None = None,
    ) -> tuple[Array, BlockState, dict[str, Array]]:
        """As a block's; the first result is the gradient of what the inputs are made from."""
        workspace = Workspace() if workspace is None else workspace
        over = tape.scan.gates_TBG if spend else None
        d_projection_TBG, d_state0, d_weight_hh, d_scan_bias = self.kernels.scan_vjp(
            self.cell.spec,
            tape.scan,
            self.weight_hh,
            d_outputs_TBH,
            cast("State | None", d_state),
            over,
            workspace,
        )
        d_inputs, d_weight_ih, d_bias_G = tape.inputs.project_vjp(self, d_projection_TBG, workspace)
        gradients = {} if d_weight_ih is None else {"weight_ih": d_weight_ih}
        if d_weight_hh is not None:
            gradients["weight_hh"] = d_weight_hh
        return d_inputs, d_state0, gradients | self.cell.bias_gradients(d_bias_G, d_scan_bias)
