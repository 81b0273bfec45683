"""One member of a model: from tokens to the outputs of the last layer. Most models are one member.

A member is an embedding (or one-hot inputs) and layers. Members of one model read the same tokens and know
nothing of each other; their outputs side by side go to one head.

Shapes: B streams, T steps, E embedding, H units, V symbols, G gate rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from pantoum.config import CELLS, ModelConfig
from pantoum.kernels import Array, StepPart, Workspace
from pantoum.network.gradient import Finished, Gradient
from pantoum.network.inputs import OneHotTokens, TableTokens, TokenInputs, VectorTokens, one_hot_projections
from pantoum.network.packing import Packer, Weight, floats
from pantoum.network.parameters import under
from pantoum.network.spec import Parameter, prefix
from pantoum.network.stack import DropoutDraw, Layer, Layers, Tape

__all__ = ["Member"]

MOST_KEPT = 1024
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
        layers = (
            Layer(
                cell,
                under(f"{self.prefix}stack.{place}.", weights),
                packer.part(str(place)),
                one_hot=self.one_hot and place == 0,
            )
            for place in range(config.num_layers)
        )
        self.layers = Layers(tuple(layers), config.dropout)
        inputs, first = floats(weights[chosen.name]), self.layers.layers[0]
        self.table_VG: Array | None = None
        """The first layer's input projections of all symbols, for reading: if these are few or one-hot."""
        if reading and self.one_hot:
            self.table_VG = one_hot_projections(first, inputs)
        elif reading and self.vocab_size <= MOST_KEPT:
            self.table_VG = first.project(inputs)
        self._weight = None if reading and self.one_hot else inputs

    @property
    def embedding_VE(self) -> Array | None:
        """The input vectors; ``None``: one-hot."""
        return None if self.one_hot else self._weight

    def forward(
        self,
        tokens_TB: Array,
        state: Sequence[Array],
        *,
        reset_TB: Array | None,
        lengths: Array | None,
        dropout: DropoutDraw | None,
        tape: int,
        workspace: Workspace,
    ) -> tuple[Array, list[Array], Tape]:
        """(outputs [T,B,H], last state, tape or None)."""
        inputs = self._inputs(tokens_TB, dropout)
        outputs_TBH, last, kept = self.layers.forward(
            inputs, state, reset_TB=reset_TB, lengths=lengths, dropout=dropout, tape=tape, workspace=workspace
        )
        return outputs_TBH, last, (inputs, kept) if tape else None

    def backward(
        self,
        tape: Tape,
        d_outputs_TBH: Array,
        workspace: Workspace,
        finished: Finished | None = None,
        below: bool = True,
    ) -> dict[str, Gradient]:
        """The gradients by parameter name; the tape is spent. ``finished`` takes those of each layer;
        ``below`` as of ``Layers.backward``."""
        inputs, kept = tape
        found: dict[str, Gradient] = {}

        def layer_finished(of_layer: Mapping[str, Array]) -> None:
            own = {f"{self.prefix}stack.{name}": Gradient(d) for name, d in of_layer.items()}
            found.update(own)
            if finished is not None:
                finished(own)

        d_inputs, _, _ = self.layers.backward(
            kept, d_outputs_TBH, spend=True, below=below, workspace=workspace, finished=layer_finished
        )
        if not below and len(self.layers.layers) > 1:
            return found
        kernels = self.layers.layers[0].kernels
        return {self._chosen: inputs.embedding_gradient(kernels, d_inputs, workspace), **found}

    def step_parts(self) -> Iterator[StepPart]:
        """Its parts as the step of a whole model takes them."""
        yield StepPart("inputs", {"table_VG": self.table_VG, "embedding_VE": self.embedding_VE})
        for place, layer in enumerate(self.layers.layers):
            by_table = place == 0 and self.table_VG is not None
            yield StepPart(
                "layer",
                {
                    "cell": layer.cell,
                    "weight_ih": None if by_table else layer.weight_ih,
                    "weight_hh": layer.weight_hh,
                    "input_bias_G": layer.bias_G,
                    "scan_bias_H": layer.scan_bias_H,
                },
            )

    def _inputs(self, tokens_TB: Array, dropout: DropoutDraw | None) -> TokenInputs:
        """What the layers take for these tokens: the shortest way to the first one."""
        layers = self.layers
        if layers.dropout.inputs == 0:
            dropout = None
        embedding_VE = self.embedding_VE
        if embedding_VE is None:
            scale_TB = None if dropout is None else layers.drop_one(tokens_TB, 0, dropout)
            return OneHotTokens(tokens_TB, self._weight, scale_TB, self.table_VG, self.vocab_size)
        if dropout is not None:
            drop = partial(layers.drop, layer=0, dropout=dropout, workspace=None)
            return VectorTokens(tokens_TB, embedding_VE, drop)
        if self.table_VG is None and tokens_TB.size <= self.vocab_size:
            return VectorTokens(tokens_TB, embedding_VE, None)
        return TableTokens(tokens_TB, embedding_VE, self.table_VG)
