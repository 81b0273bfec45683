"""One member of a model: from tokens to the outputs of the last layer. Most models are one member.

A member is an embedding (or one-hot inputs) and layers. Members of one model read the same tokens and know
nothing of each other; their outputs side by side go to one head.

Between tokens and the gates of the first layer there is only a linear map, so the input projection of a token
is the same wherever it occurs. It is computed once for all symbols, or for those that occur, where these are
fewer, and looked up: an exact saving in one large product forward and two backward. Variational dropout of
embedded inputs has one mask for each symbol, for all of its places in a batch, and keeps the saving.
Independent dropout needs the vectors themselves. A one-hot vector has one entry, so its dropout keeps and
scales, or drops, the token's whole row.

A batch uses few rows of a large table. Its gradient is then that of these rows (``network.gradient``), so
that the cost of a step does not grow with the vocabulary. Of one-hot inputs the table is the transpose of the
first layer's weight_ih, which lies in memory column by column.

Shapes: B streams, T steps, N = T*B, E embedding, H units, V symbols, U of them in use, G gate rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from pantoum.config import CELLS, ModelConfig
from pantoum.kernels import Array, DropoutDraw, Kernels, StepPart, Workspace
from pantoum.network.gradient import Gradient
from pantoum.network.packing import Packer, Weight, floats
from pantoum.network.parameters import under
from pantoum.network.spec import Parameter, prefix
from pantoum.network.stack import Layer, Layers, Pass, Tape, Vectors

MOST_TABLED = 1024
"""Up to this vocabulary reading looks up the input projections of all symbols, computed once."""
LARGE = 1024
"""A table of more rows has a gradient of its rows in use, if the batch has fewer tokens than that."""


@dataclass(frozen=True)
class TableTokens:
    """Embedded tokens, whose input projections are rows of a table of all symbols, or of those that occur."""

    places_TB: Array
    """The row of each token."""
    symbols_U: Array | None
    """The symbol of each row; ``None``: all symbols."""
    embedding_VE: Array
    table_UG: Array | None
    """The table, where the member holds it."""
    drop: Callable[[Array], Array] | None = None
    """The dropout of the rows' vectors, and of their gradient."""

    def project(self, layer: Layer, workspace: Workspace) -> Array:
        """The input projection of the first layer [T,B,G]."""
        table_UG = self.table_UG
        if table_UG is None:
            x_UE = self._dropped(layer, workspace)
            shape = len(x_UE), len(layer.bias_G)
            table_UG = layer.project(x_UE, out=workspace.array("table", shape, layer.bias_G.dtype))
        return _look_up(layer, table_UG, self.places_TB, workspace, "projection")

    def project_vjp(
        self, layer: Layer, d_projection_TBG: Array, workspace: Workspace
    ) -> tuple[Array, Array, Array]:
        """(d_x [U,E], d_weight_ih, d_bias [G])."""
        x_UE = self._dropped(layer, workspace)
        d_table_UG = workspace.array("table", (len(x_UE), d_projection_TBG.shape[2]), d_projection_TBG.dtype)
        _look_up_vjp(layer.kernels, d_projection_TBG, self.places_TB, d_table_UG)
        d_x_UE, d_weight, d_bias_G = layer.project_vjp(d_table_UG, x_UE, workspace)
        return d_x_UE if self.drop is None else self.drop(d_x_UE), d_weight, d_bias_G

    def embedding_gradient(self, kernels: Kernels, d_inputs: Array, workspace: Workspace) -> Gradient:
        """It is what the backward pass returns."""
        return Gradient(d_inputs, self.symbols_U)

    def _dropped(self, layer: Layer, workspace: Workspace) -> Array:
        x_UE = self.embedding_VE
        if self.symbols_U is not None:
            x_UE = _look_up(layer, x_UE, self.symbols_U, workspace, "vectors")
        return x_UE if self.drop is None else self.drop(x_UE)


@dataclass(frozen=True)
class VectorTokens:
    """Embedded tokens as vectors, each of which is dropped by itself."""

    tokens_TB: Array
    embedding_VE: Array
    drop: Callable[[Array], Array]
    """The dropout of vectors, and of their gradient."""

    def project(self, layer: Layer, workspace: Workspace) -> Array:
        """The input projection of the first layer [T,B,G]."""
        return Vectors(self._dropped(layer, workspace)).project(layer, workspace)

    def project_vjp(
        self, layer: Layer, d_projection_TBG: Array, workspace: Workspace
    ) -> tuple[Array, Array, Array]:
        """(d_x [T,B,E], d_weight_ih, d_bias [G])."""
        dropped = Vectors(self._dropped(layer, workspace))
        d_x_TBE, d_weight, d_bias_G = dropped.project_vjp(layer, d_projection_TBG, workspace)
        return self.drop(d_x_TBE), d_weight, d_bias_G

    def embedding_gradient(self, kernels: Kernels, d_inputs: Array, workspace: Workspace) -> Gradient:
        """From the gradient of the vectors."""
        if _uses_few(self.tokens_TB, len(self.embedding_VE)):
            d_NE = d_inputs.reshape(self.tokens_TB.size, -1)
            rows_U, values_UE = kernels.lookup_sum_gradient(d_NE, self.tokens_TB.reshape(-1, 1))
            return Gradient(values_UE, rows_U)
        d_embedding_VE = workspace.array("d_embedding", self.embedding_VE.shape, d_inputs.dtype)
        return Gradient(_look_up_vjp(kernels, d_inputs, self.tokens_TB, d_embedding_VE))

    def _dropped(self, layer: Layer, workspace: Workspace) -> Array:
        return self.drop(_look_up(layer, self.embedding_VE, self.tokens_TB, workspace, "vectors"))


@dataclass(frozen=True)
class OneHotTokens:
    """One-hot tokens: the input projection of a token is a column of weight_ih plus the bias."""

    tokens_TB: Array
    weight_GV: Array | None
    """The first layer's weight_ih, which lies in memory column by column; ``None`` if the table of all input
    projections is there."""
    scale_TB: Array | None
    """The dropout of each token's one entry; None: off."""
    table_VG: Array | None
    """The table of all input projections, where the member holds it."""
    vocab_size: int

    def project(self, layer: Layer, workspace: Workspace) -> Array:
        """The input projection of the first layer [T,B,G]."""
        if self.table_VG is not None and self.scale_TB is None:
            return _look_up(layer, self.table_VG, self.tokens_TB, workspace, "projection")
        weight_GV = self.weight_GV
        assert weight_GV is not None
        columns_VG = np.ascontiguousarray(weight_GV.T)
        projection_TBG = _look_up(layer, columns_VG, self.tokens_TB, workspace, "projection")
        if self.scale_TB is not None:
            projection_TBG *= self.scale_TB[:, :, None]
        projection_TBG += layer.bias_G
        return projection_TBG

    def project_vjp(
        self, layer: Layer, d_projection_TBG: Array, workspace: Workspace
    ) -> tuple[Array, None, Array]:
        """(d_projection [T,B,G], None: d_weight_ih is made from it, d_bias [G])."""
        G = d_projection_TBG.shape[2]
        d_bias_G = layer.kernels.bias_gradient(d_projection_TBG.reshape(-1, G))
        if self.scale_TB is not None:
            d_projection_TBG *= self.scale_TB[:, :, None]
        return d_projection_TBG, None, d_bias_G

    def embedding_gradient(self, kernels: Kernels, d_inputs: Array, workspace: Workspace) -> Gradient:
        """That of weight_ih, transposed."""
        if _uses_few(self.tokens_TB, self.vocab_size):
            d_NG = d_inputs.reshape(self.tokens_TB.size, -1)
            symbols_U, columns_UG = kernels.lookup_sum_gradient(d_NG, self.tokens_TB.reshape(-1, 1))
            return Gradient(columns_UG, symbols_U, transposed=True)
        d_columns_VG = workspace.array("d_columns", (self.vocab_size, d_inputs.shape[2]), d_inputs.dtype)
        return Gradient(_look_up_vjp(kernels, d_inputs, self.tokens_TB, d_columns_VG), transposed=True)


TokenInputs: TypeAlias = TableTokens | VectorTokens | OneHotTokens
"""``stack.Inputs`` that are made from tokens. ``embedding_gradient`` is the gradient of what tokens choose
from, the embedding or the first layer's weight_ih, from what the backward pass of the layers returns."""


def _uses_few(tokens_TB: Array, vocab_size: int) -> bool:
    """Whether a batch uses so few rows of a large table that they are worth finding."""
    return tokens_TB.size < vocab_size > LARGE


def _look_up(layer: Layer, table_VG: Array, tokens_TB: Array, workspace: Workspace, name: str) -> Array:
    """The table's row of each token [T,B,G]."""
    rows_NG = workspace.array(name, (tokens_TB.size, table_VG.shape[1]), table_VG.dtype)
    layer.kernels.lookup(table_VG, tokens_TB.reshape(-1), out=rows_NG)
    return rows_NG.reshape(*tokens_TB.shape, -1)


def _look_up_vjp(kernels: Kernels, d_TBG: Array, tokens_TB: Array, out: Array) -> Array:
    """The table's gradient [V,G]."""
    d_NG = d_TBG.reshape(tokens_TB.size, -1)
    kernels.lookup_gradient(d_NG, tokens_TB.reshape(-1), len(out), out=out)
    return out


class Member:
    """A member, its weights ready."""

    def __init__(
        self, config: ModelConfig, chosen: Parameter, weights: Mapping[str, Weight], packer: Packer
    ) -> None:
        """``chosen``: the parameter that tokens choose from; ``weights``: those of the model by name."""
        assert chosen.member is not None
        self.prefix = prefix(config, chosen.member)
        self._chosen, self.one_hot = chosen.name, chosen.by_columns
        self.vocab_size = chosen.shape[1 if self.one_hot else 0]
        cell, reading = CELLS[config.cell], packer.purpose == "read"
        layers = []
        for place in range(config.num_layers):
            own, one_hot = under(f"{self.prefix}stack.{place}.", weights), self.one_hot and place == 0
            layers.append(Layer(cell, own, packer.part(str(place)), one_hot=one_hot))
        self.layers = Layers(tuple(layers), config.dropout)
        inputs, first = floats(weights[chosen.name]), self.layers.layers[0]
        self.table_VG: Array | None = None
        """The first layer's input projections of all symbols, for reading: if these are few or one-hot."""
        if reading and self.one_hot:
            self.table_VG = np.add(inputs.T, first.bias_G, order="C")
        elif reading and self.vocab_size <= MOST_TABLED:
            self.table_VG = first.project(inputs)
        self._weight = None if reading and self.one_hot else inputs

    @property
    def embedding_VE(self) -> Array | None:
        """The input vectors; ``None``: one-hot."""
        return None if self.one_hot else self._weight

    def forward(
        self, tokens_TB: Array, state: Sequence[Array], read: Pass, workspace: Workspace
    ) -> tuple[Array, list[Array], Tape]:
        """(outputs [T,B,H], last state, tape or None)."""
        inputs = self._inputs(tokens_TB, read.dropout)
        outputs_TBH, last, tape = self.layers.forward(inputs, state, read, workspace)
        return outputs_TBH, last, (inputs, tape) if read.tape else None

    def backward(
        self, tape: Tape, d_outputs_TBH: Array, workspace: Workspace, below: bool = True
    ) -> dict[str, Gradient]:
        """The gradients by parameter name; the tape is spent. Without ``below`` only the last layer has
        gradients, where there are several."""
        inputs, of_layers = tape
        d_inputs, _, named = self.layers.backward(of_layers, d_outputs_TBH, below=below, workspace=workspace)
        gradients = {f"{self.prefix}stack.{name}": Gradient(d) for name, d in named.items()}
        if not below and len(self.layers.layers) > 1:
            return gradients
        kernels = self.layers.layers[0].kernels
        return {self._chosen: inputs.embedding_gradient(kernels, d_inputs, workspace), **gradients}

    def step_parts(self) -> Iterator[StepPart]:
        """Its parts as the step of a whole model takes them."""
        yield StepPart("inputs", {"table_VG": self.table_VG, "embedding_VE": self.embedding_VE})
        for place, layer in enumerate(self.layers.layers):
            by_table = place == 0 and self.table_VG is not None
            weights = {"weight_ih": None if by_table else layer.weight_ih, "weight_hh": layer.weight_hh}
            biases = {"input_bias_G": layer.bias_G, "scan_bias_H": layer.scan_bias_H}
            yield StepPart("layer", {"cell": layer.cell, **weights, **biases})

    def _inputs(self, tokens_TB: Array, dropout: DropoutDraw | None) -> TokenInputs:
        """What the layers take for these tokens: the shortest way to the first one."""
        layers, embedding_VE = self.layers, self.embedding_VE
        if layers.dropout.inputs == 0:
            dropout = None
        if embedding_VE is None:
            scale_TB = None if dropout is None else layers.drop_one(tokens_TB, dropout)
            return OneHotTokens(tokens_TB, self._weight, scale_TB, self.table_VG, self.vocab_size)
        if dropout is not None and not dropout.variational:
            return VectorTokens(tokens_TB, embedding_VE, partial(layers.drop, layer=0, dropout=dropout))
        places_TB, symbols_U = tokens_TB, None
        if self.table_VG is None and _uses_few(tokens_TB, self.vocab_size):
            symbols_U, places_N = np.unique(tokens_TB, return_inverse=True)
            places_TB = places_N.reshape(tokens_TB.shape)
        drop = None
        if dropout is not None:
            rows_U = np.arange(self.vocab_size) if symbols_U is None else symbols_U
            drop = partial(layers.drop_each, numbers_U=rows_U, dropout=dropout)
        return TableTokens(places_TB, symbols_U, embedding_VE, self.table_VG, drop)
