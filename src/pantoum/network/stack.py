"""Layers on top of one another, their weights ready for the kernels.

A layer is a cell: an input product for a whole chunk at once (``project``), then a scan over time. What
differs from cell to cell stands in ``config.cells``, the equations in the kernels. The order within layer l,
from its input x on:

    x -> dropout -> cell

and after the last layer dropout of the outputs. Dropout of the first layer's x has the rate ``inputs``, of
the others' ``between``, after the last ``outputs``; its masks belong to layers 0 to L. The state of a cell is
not dropped. Arrays are time-major and trusted.

Shapes: B rows, T steps, N = T*B, E inputs, H units, G gate rows, V rows of a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

from pantoum.config import CellSpec, DropoutConfig
from pantoum.kernels import Array, DropoutDraw, PackedMatrix, State, Workspace
from pantoum.network.packing import Packer, Weight, floats

Tape: TypeAlias = Any
"""What a part keeps of a forward pass for its backward pass; nobody else looks inside."""


@dataclass(frozen=True)
class Pass:
    """How a forward pass goes through the steps of its inputs."""

    reset_TB: Array | None = None
    """Before which steps the state of a row is zeroed."""
    lengths: Array | None = None
    """The steps of each row, where not all."""
    dropout: DropoutDraw | None = None
    tape: int = 0
    """In how many parts of the steps, each by itself, gradients will go back; 0: no backward pass follows."""


class Layer:
    """A cell, its weights ready. It does not follow weights that change."""

    def __init__(
        self, cell: CellSpec, weights: Mapping[str, Weight], packer: Packer, *, one_hot: bool = False
    ) -> None:
        """``one_hot``: weight_ih is never multiplied by a vector, and is not packed."""
        self.cell, self.kernels = cell, packer.kernels
        gates, bias_G = len(cell.gates), floats(weights["bias_ih"]).copy()
        self.units = len(bias_G) // gates
        # Biases that only add to the gates are part of the input projection; what the scan adds is not.
        self._added = (gates - cell.biased) * self.units
        self.bias_G, self.scan_bias_H = bias_G, None
        if cell.hidden_bias:
            bias_hh = floats(weights["bias_hh"])
            bias_G[: self._added] += bias_hh[: self._added]
            self.scan_bias_H = bias_hh[self._added :].copy() if cell.biased else None
        self.weight_ih = None if one_hot else packer.matrix("weight_ih", weights["weight_ih"], gates)
        recurrent, start = [], 0
        for place, served in enumerate(cell.products):
            rows = slice(start, start + served * self.units)
            own, coded = weights["weight_hh"][rows], packer.coded and len(cell.products) == 1
            recurrent.append(packer.matrix(f"weight_hh {place}", own, served, coded=coded))
            start = rows.stop
        self.weight_hh: tuple[PackedMatrix, ...] = tuple(recurrent)

    def project(self, x_NE: Array, out: Array | None = None) -> Array:
        """The input projection, W_ih x + b [N,G]; with N = V embeddings, the table of all tokens."""
        assert self.weight_ih is not None
        projection_NG: Array = self.kernels.linear(x_NE, self.weight_ih, self.bias_G, out=out)
        return projection_NG

    def project_vjp(
        self, d_projection_NG: Array, x_NE: Array, workspace: Workspace
    ) -> tuple[Array, Array, Array]:
        """(d_x [N,E], d_weight_ih, d_bias [G])."""
        assert self.weight_ih is not None
        d_weight, d_bias_G = self.weights_vjp(d_projection_NG, x_NE, workspace)
        d_x_NE = workspace.array("d_x", x_NE.shape, x_NE.dtype)
        self.weight_ih.product_transposed(d_projection_NG, out=d_x_NE)
        return d_x_NE, d_weight, d_bias_G

    def weights_vjp(self, d_projection_NG: Array, x_NE: Array, workspace: Workspace) -> tuple[Array, Array]:
        """(d_weight_ih, d_bias [G]) of an input projection."""
        assert self.weight_ih is not None
        d_weight = workspace.array("d_weight_ih", self.weight_ih.shape, d_projection_NG.dtype)
        self.kernels.linear_weight_gradient(d_projection_NG, x_NE, d_weight, self.weight_ih.precision)
        return d_weight, self.kernels.bias_gradient(d_projection_NG)

    def forward(
        self, inputs: Inputs, state: State, read: Pass, workspace: Workspace
    ) -> tuple[Array, State, Tape]:
        """(outputs [T,B,H], the last state, tape or None)."""
        weights, rows = (self.weight_hh, self.scan_bias_H), (read.reset_TB, read.lengths)
        outputs_TBH, last, scanned = self.kernels.scan(
            self.cell, inputs.project(self, workspace), state, *weights, *rows, read.tape, workspace
        )
        return outputs_TBH, last, (inputs, scanned) if read.tape else None

    def backward(
        self,
        tape: Tape,
        d_outputs_TBH: Array,
        d_state: State | None,
        below: bool,
        workspace: Workspace,
    ) -> tuple[Array, State, dict[str, Array]]:
        """(the gradient of what the inputs are made from, d_state0, gradients by parameter name); ``below``:
        the first of them is wanted, else it is empty. The tape is spent."""
        inputs, scanned = tape
        d_projection_TBG, d_state0, d_weight_hh, d_scan_bias_H = self.kernels.scan_vjp(
            scanned, d_outputs_TBH, d_state, scanned.gates_TBG, workspace
        )
        if below or not isinstance(inputs, Vectors):
            d_inputs, d_weight_ih, d_bias_G = inputs.project_vjp(self, d_projection_TBG, workspace)
        else:
            d_projection_NG = d_projection_TBG.reshape(-1, d_projection_TBG.shape[2])
            x_NE, d_inputs = inputs.x_TBE.reshape(len(d_projection_NG), -1), np.empty(0)
            d_weight_ih, d_bias_G = self.weights_vjp(d_projection_NG, x_NE, workspace)
        gradients = {"weight_ih": d_weight_ih, "weight_hh": d_weight_hh, "bias_ih": d_bias_G}
        if self.cell.hidden_bias:
            inside = () if d_scan_bias_H is None else (d_scan_bias_H,)
            gradients["bias_hh"] = np.concatenate([d_bias_G[: self._added], *inside])
        return d_inputs, d_state0, {name: d for name, d in gradients.items() if d is not None}


class Inputs(Protocol):
    """Inputs that a layer can project: vectors, or (in ``network.token_inputs``) tokens by a look-up."""

    def project(self, layer: Layer, workspace: Workspace) -> Array:
        """The input projection [T,B,G]."""
        ...

    def project_vjp(
        self, layer: Layer, d_projection_TBG: Array, workspace: Workspace
    ) -> tuple[Array, Array | None, Array]:
        """(gradient of what the inputs are made from, d_weight_ih, d_bias [G]). Of one-hot tokens
        d_weight_ih is ``None``: the first makes it."""
        ...


@dataclass(frozen=True)
class Vectors:
    """Inputs that are an array."""

    x_TBE: Array

    def project(self, layer: Layer, workspace: Workspace) -> Array:
        """As ``Inputs.project``."""
        T, B, E = self.x_TBE.shape
        projection_TBG = workspace.array("projection", (T, B, len(layer.bias_G)), self.x_TBE.dtype)
        layer.project(self.x_TBE.reshape(T * B, E), out=projection_TBG.reshape(T * B, -1))
        return projection_TBG

    def project_vjp(
        self, layer: Layer, d_projection_TBG: Array, workspace: Workspace
    ) -> tuple[Array, Array, Array]:
        """As ``Inputs.project_vjp``."""
        T, B, E = self.x_TBE.shape
        d_x_NE, d_weight, d_bias_G = layer.project_vjp(
            d_projection_TBG.reshape(T * B, -1), self.x_TBE.reshape(T * B, E), workspace
        )
        return d_x_NE.reshape(T, B, E), d_weight, d_bias_G


@dataclass(frozen=True)
class Layers:
    """The layers of a stack; each has weights of its own."""

    layers: tuple[Layer, ...]
    dropout: DropoutConfig

    def forward(
        self, inputs: Inputs, state: Sequence[Array], read: Pass, workspace: Workspace
    ) -> tuple[Array, list[Array], Tape]:
        """(outputs [T,B,H], the last state, tape or None). A state is the arrays of all layers in order.
        Inputs that are no vectors apply their dropout themselves."""
        tapes, last = [], list[Array]()
        for place, (layer, own) in enumerate(zip(self.layers, self._by_layer(state), strict=True)):
            scope = workspace.scope(str(place))
            if isinstance(inputs, Vectors):
                inputs = Vectors(self._dropped(inputs.x_TBE, place, read.dropout, scope))
            y_TBH, after, tape = layer.forward(inputs, own, read, scope)
            inputs = Vectors(y_TBH)
            last += after if isinstance(after, tuple) else (after,)
            tapes.append(tape)
        outputs_TBH = self._dropped(y_TBH, len(self.layers), read.dropout, workspace)
        return outputs_TBH, last, (tapes, read.dropout) if read.tape else None

    def backward(
        self,
        tape: Tape,
        d_outputs_TBH: Array,
        d_state: Sequence[Array] | None = None,
        *,
        below: bool = True,
        workspace: Workspace,
    ) -> tuple[Array, list[Array], dict[str, Array]]:
        """(the gradient of what the inputs are made from, d_state0, gradients by parameter name). The
        tape is spent (``copied``); without ``below`` only the last layer has gradients, where there are
        several."""
        tapes, dropout = tape
        d_own = [None] * len(self.layers) if d_state is None else self._by_layer(d_state)
        gradients, d_initial = dict[str, Array](), list[Array]()
        d_below = self._dropped(d_outputs_TBH, len(self.layers), dropout, workspace)
        for place in reversed(range(len(self.layers))):
            layer, own, scope = self.layers[place], tapes[place], workspace.scope(str(place))
            ends = not below and len(self.layers) > 1
            d_below, d_before, of_layer = layer.backward(own, d_below, d_own[place], not ends, scope)
            if isinstance(own[0], Vectors) and not ends:
                d_below = self._dropped(d_below, place, dropout, scope)
            d_initial = [*(d_before if isinstance(d_before, tuple) else (d_before,)), *d_initial]
            gradients = {f"{place}.{name}": d for name, d in of_layer.items()} | gradients
            if ends:
                break
        return d_below, d_initial, gradients

    def drop(self, x_TBE: Array, layer: int, dropout: DropoutDraw, workspace: Workspace | None) -> Array:
        """The dropout of a layer's input, or of its gradient."""
        out = None if workspace is None else workspace.array("dropped", x_TBE.shape, x_TBE.dtype)
        kernels = self.layers[0].kernels
        dropped_TBE: Array = kernels.dropout(x_TBE, self._rate(layer), layer, dropout, out)
        return dropped_TBE

    def drop_one(self, units_TB: Array, dropout: DropoutDraw) -> Array:
        """What ``drop`` multiplies one unit of each row of the first layer's input by [T,B]."""
        first = self.layers[0]
        scales_TB: Array = first.kernels.dropout_scales(units_TB, self._rate(0), 0, dropout)
        return scales_TB.astype(first.bias_G.dtype)

    def _dropped(self, x_TBE: Array, layer: int, dropout: DropoutDraw | None, workspace: Workspace) -> Array:
        """``drop``, where there is anything to drop."""
        if dropout is None or not self._rate(layer):
            return x_TBE
        return self.drop(x_TBE, layer, dropout, workspace)

    def _rate(self, layer: int) -> float:
        """What is dropped of this layer's input; for the layer after the last, of the outputs."""
        if layer == 0:
            return self.dropout.inputs
        return self.dropout.between if layer < len(self.layers) else self.dropout.outputs

    def _by_layer(self, arrays: Sequence[Array]) -> list[State]:
        """The arrays of a state as the kernels take those of each layer."""
        left = iter(arrays)
        owns = (tuple(islice(left, len(layer.cell.state))) for layer in self.layers)
        return [own[0] if len(own) == 1 else cast(State, own) for own in owns]
