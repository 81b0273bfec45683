"""One member of a model: from tokens to the outputs of the last layer. Most models are one member.

A member is an embedding (or one-hot inputs) and layers. Members of one model read the same tokens and know
nothing of each other; their outputs side by side go to one head.

Shapes: B streams, T steps, E embedding, H units, V symbols, U of them in use, G gate rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from pantoum.config import CELLS, ModelConfig
from pantoum.kernels import Array, DropoutDraw, StepPart, Workspace
from pantoum.network.gradient import Gradient
from pantoum.network.packing import Packer, Weight, floats
from pantoum.network.parameters import under
from pantoum.network.spec import Parameter, prefix
from pantoum.network.stack import Layer, Layers, Pass, Tape
from pantoum.network.token_inputs import OneHotTokens, TableTokens, TokenInputs, VectorTokens

MOST_TABLED = 1024
"""Up to this vocabulary reading looks up the input projections of all symbols, computed once."""


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
            drop = partial(layers.drop, layer=0, dropout=dropout, workspace=None)
            return VectorTokens(tokens_TB, embedding_VE, drop)
        places_TB, symbols_U, of_rows = tokens_TB, None, None
        if self.table_VG is None and tokens_TB.size < self.vocab_size:
            symbols_U, places_N = np.unique(tokens_TB.astype(np.int64), return_inverse=True)
            places_TB = places_N.reshape(tokens_TB.shape)
        if dropout is not None:
            draw = dropout._replace(streams_B=np.arange(self.vocab_size) if symbols_U is None else symbols_U)
            of_rows = partial(layers.drop, layer=0, dropout=draw, workspace=None)
        return TableTokens(places_TB, symbols_U, embedding_VE, self.table_VG, of_rows)
