"""Cells on top of one another: each layer its own weights, the state a tuple of the layers' states.

The order within layer l, from its input x on:

    x -> dropout -> cell

and after the last layer dropout of the outputs. Dropout of the first layer's x has the rate ``inputs``, of
the others' ``between``, after the last ``outputs``; its masks belong to layers 0 to L. The cell's own state
stays raw: not dropped. Parameter names are ``0.weight_ih``, ``1.weight_ih``, ...

Shapes: B rows, T steps, N = T*B, E inputs, H units, G gate rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pantoum.config import DropoutConfig
from pantoum.errors import SettingError
from pantoum.kernels import Array, Kernels, Workspace, backend
from pantoum.network.block import Block, DropoutDraw, PackedBlock, Tape
from pantoum.network.cell import Cell, CellTape, Inputs, PackedCell, Vectors
from pantoum.network.packing import Packer, Weight
from pantoum.network.parameters import Parameters, under
from pantoum.network.state import BlockState

__all__ = ["PackedStack", "Stack"]


class Stack(Block):
    """A deep cell; used wherever a cell is."""

    def __init__(self, cells: Sequence[Cell], dropout: DropoutConfig | None = None) -> None:
        self.cells = tuple(cells)
        _check_cells(self.cells)
        self.dropout = DropoutConfig() if dropout is None else dropout
        self.input_size, self.hidden_size = self.cells[0].input_size, self.cells[-1].hidden_size
        self.dtype = self.cells[0].dtype
        self.parameters = Parameters.joined(
            (f"{layer}.", cell.parameters) for layer, cell in enumerate(self.cells)
        )

    def initial_state(self, batch_size: int) -> BlockState:
        return tuple(cell.initial_state(batch_size) for cell in self.cells)

    def pack(
        self,
        packer: Packer | None = None,
        weights: Mapping[str, Weight] | None = None,
        *,
        one_hot: bool = False,
    ) -> PackedStack:
        """As a block's; ``one_hot``: the inputs of the first layer are one-hot."""
        packer = Packer(backend(self.dtype)) if packer is None else packer
        weights = self.parameters if weights is None else weights
        cells = []
        for layer, cell in enumerate(self.cells):
            own = under(f"{layer}.", weights)
            cells.append(cell.pack(packer.part(str(layer)), own, one_hot=one_hot and layer == 0))
        return PackedStack(self, packer.kernels, tuple(cells))

    def dropout_rate(self, layer: int) -> float:
        """What is dropped of this layer's input; for the layer after the last, of the outputs."""
        if layer == 0:
            return self.dropout.inputs
        return self.dropout.between if layer < len(self.cells) else self.dropout.outputs


@dataclass(frozen=True)
class StackTape:
    """What a stack's backward pass needs."""

    layers: list[CellTape]
    dropout: DropoutDraw | None


@dataclass(frozen=True)
class PackedStack(PackedBlock):
    """A stack's parameters as the kernels take them."""

    stack: Stack
    kernels: Kernels
    cells: tuple[PackedCell, ...]

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
        """As a block's; inputs that are no array apply their dropout themselves."""
        assert isinstance(state, tuple)
        workspace = Workspace() if workspace is None else workspace
        source: Inputs = Vectors(inputs) if isinstance(inputs, np.ndarray) else inputs
        tapes, states = [], []
        for layer, cell in enumerate(self.cells):
            scope = workspace.scope(str(layer))
            below = self._dropped(source, layer, dropout, scope)
            y_TBH, last, kept = cell.forward(
                below, state[layer], reset_TB=reset_TB, lengths=lengths, tape=tape, workspace=scope
            )
            source = Vectors(y_TBH)
            tapes.append(kept)
            states.append(last)
        assert isinstance(source, Vectors)
        outputs_TBH = self._drop(source.x_TBE, len(self.cells), dropout, workspace)
        return outputs_TBH, tuple(states), StackTape(tapes, dropout) if tape else None

    def backward(
        self,
        tape: StackTape,
        d_outputs_TBH: Array,
        d_state: BlockState | None = None,
        *,
        spend: bool = False,
        workspace: Workspace | None = None,
        finished: Callable[[dict[str, Array]], None] | None = None,
    ) -> tuple[Array, BlockState, dict[str, Array]]:
        """As a block's; the first result is the gradient of what the inputs are made from. ``finished`` takes
        the gradients of each layer as soon as they are known, those of the last layer first."""
        assert d_state is None or isinstance(d_state, tuple)
        workspace = Workspace() if workspace is None else workspace
        d_states: list[BlockState] = [()] * len(self.cells)
        by_layer: list[dict[str, Array]] = [{} for _ in self.cells]
        d_below = self._drop(d_outputs_TBH, len(self.cells), tape.dropout, workspace)
        for layer in reversed(range(len(self.cells))):
            cell, scope, kept = self.cells[layer], workspace.scope(str(layer)), tape.layers[layer]
            d_below, d_states[layer], of_cell = cell.backward(
                kept, d_below, None if d_state is None else d_state[layer], spend=spend, workspace=scope
            )
            if isinstance(kept.inputs, Vectors):
                d_below = self._drop(d_below, layer, tape.dropout, scope)
            by_layer[layer] = {f"{layer}.{name}": d for name, d in of_cell.items()}
            if finished is not None:
                finished(by_layer[layer])
        return d_below, tuple(d_states), {name: d for part in by_layer for name, d in part.items()}

    def _dropped(
        self,
        source: Inputs,
        layer: int,
        dropout: DropoutDraw | None,
        workspace: Workspace,
    ) -> Inputs:
        """The inputs of a layer after their dropout."""
        if not isinstance(source, Vectors):
            return source
        return Vectors(self._drop(source.x_TBE, layer, dropout, workspace))

    def drop(
        self,
        x_TBE: Array,
        layer: int,
        dropout: DropoutDraw,
        workspace: Workspace | None = None,
    ) -> Array:
        """The dropout of a layer's input, or of its gradient."""
        out = None if workspace is None else workspace.array("dropped", x_TBE.shape, x_TBE.dtype)
        return self.kernels.dropout(
            x_TBE,
            self.stack.dropout_rate(layer),
            dropout.seed,
            dropout.step,
            layer,
            dropout.streams_B,
            self.stack.dropout.kind == "variational",
            out=out,
            workspace=workspace,
        )

    def drop_one(self, units_TB: Array, layer: int, dropout: DropoutDraw) -> Array:
        """What ``drop`` multiplies one unit of each row by [T,B]."""
        scales_TB = self.kernels.dropout_scales(
            units_TB,
            self.stack.dropout_rate(layer),
            dropout.seed,
            dropout.step,
            layer,
            dropout.streams_B,
            self.stack.dropout.kind == "variational",
        )
        return scales_TB.astype(self.stack.dtype)

    def _drop(self, x_TBE: Array, layer: int, dropout: DropoutDraw | None, workspace: Workspace) -> Array:
        """``drop``, where there is anything to drop."""
        if dropout is None or not self.stack.dropout_rate(layer):
            return x_TBE
        return self.drop(x_TBE, layer, dropout, workspace)


def _check_cells(cells: tuple[Cell, ...]) -> None:
    if not cells:
        raise SettingError("cells", [], "must hold at least one cell", "give a list of cells")
    for below, above in pairwise(cells):
        if above.input_size != below.hidden_size or above.dtype != below.dtype:
            raise SettingError(
                "cells",
                f"a cell of input_size {above.input_size} ({above.dtype}) over one "
                f"of hidden_size {below.hidden_size} ({below.dtype})",
                "must fit one another",
                "make each input_size the hidden_size below it, with one dtype",
            )
    if len({id(cell) for cell in cells}) != len(cells):
        raise SettingError(
            "cells",
            f"{len(cells)} with one repeated",
            "must be different: each layer has its own weights",
            "build one cell a layer",
        )
