"""One member of a model: from tokens to the outputs of the last layer. Most models are one member.

A member is an embedding (or one-hot inputs) and a stack of cells. Members of one model read the same tokens
and know nothing of each other; their outputs side by side go to one head.

Shapes: B streams, T steps, E embedding, H units, V symbols, G gate rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from pantoum.config import CELLS, ModelConfig
from pantoum.kernels import Array, Workspace
from pantoum.network.block import DropoutDraw, Tape
from pantoum.network.cell import Cell
from pantoum.network.embedding import (
    OneHotTokens,
    TableTokens,
    TokenInputs,
    VectorTokens,
    one_hot_projections,
)
from pantoum.network.gradient import Finished, Gradient
from pantoum.network.packing import Packer, Weight, floats
from pantoum.network.parameters import Parameters, generator, under
from pantoum.network.stack import PackedStack, Stack
from pantoum.network.state import BlockState

__all__ = ["EMBEDDING", "ONE_HOT", "Member", "PackedMember", "prefix"]

EMBEDDING, ONE_HOT = "embedding.weight", "stack.0.weight_ih"
"""What tokens choose from, with an embedding and without one."""
MOST_KEPT = 1024
"""Up to this vocabulary reading looks up the input projections of all symbols, computed once."""


class Member:
    """The plain weights of one member."""

    def __init__(
        self, config: ModelConfig, vocab_size: int, seed: int | None, dtype: np.dtype[np.generic]
    ) -> None:
        """``seed=None`` leaves all parameters zero, to be filled."""
        E, H = config.embedding_size, config.hidden_size
        self.vocab_size = vocab_size
        self.embedding_VE = None if E is None else _vectors((vocab_size, E), seed, config.tied, dtype)
        sizes = [vocab_size if E is None else E] + [H] * (config.num_layers - 1)
        cells = [
            Cell(
                CELLS[config.cell], size, H, seed, dtype=dtype, place=place, one_hot=E is None and place == 0
            )
            for place, size in enumerate(sizes)
        ]
        self.stack = Stack(cells, config.dropout)
        embedding = {} if self.embedding_VE is None else {"weight": self.embedding_VE}
        self.parameters = Parameters.joined([("embedding.", embedding), ("stack.", self.stack.parameters)])

    def pack(self, packer: Packer, weights: Mapping[str, Weight]) -> PackedMember:
        """These weights of its names and shapes as the kernels take them."""
        one_hot, reading = self.embedding_VE is None, packer.purpose == "read"
        stack = self.stack.pack(packer, under("stack.", weights), one_hot=one_hot)
        table_VG = None
        if one_hot:
            inputs = floats(weights[ONE_HOT])
            if reading:
                table_VG = one_hot_projections(stack.cells[0], inputs)
        else:
            inputs = floats(weights[EMBEDDING])
            if reading and self.vocab_size <= MOST_KEPT:
                table_VG = stack.cells[0].project(inputs)
        return PackedMember(self, stack, inputs if not (one_hot and reading) else None, table_VG)


@dataclass(frozen=True)
class PackedMember:
    """A member's weights as the kernels take them."""

    member: Member
    """Its shape; these weights may be others."""
    stack: PackedStack
    weight: Array | None
    """What tokens choose from: the embedding [V,E]; with one-hot inputs the first layer's weight_ih [G,V]."""
    table_VG: Array | None
    """The first layer's input projections of all symbols, for reading: if these are few or one-hot."""

    @property
    def embedding_VE(self) -> Array | None:
        """The input vectors; ``None``: one-hot."""
        return None if self.member.embedding_VE is None else self.weight

    def forward(
        self,
        tokens_TB: Array,
        state: BlockState,
        *,
        reset_TB: Array | None,
        lengths: Array | None,
        dropout: DropoutDraw | None = None,
        tape: bool = False,
        workspace: Workspace | None = None,
    ) -> tuple[Array, BlockState, Tape]:
        """(outputs [T,B,H], last state, tape or None)."""
        inputs = self._inputs(tokens_TB, dropout)
        outputs_TBH, last, kept = self.stack.forward(
            inputs, state, reset_TB=reset_TB, lengths=lengths, dropout=dropout, tape=tape, workspace=workspace
        )
        return outputs_TBH, last, (inputs, kept) if tape else None

    def backward(
        self, tape: Tape, d_outputs_TBH: Array, workspace: Workspace, finished: Finished | None = None
    ) -> dict[str, Gradient]:
        """The gradients by parameter name; the tape is spent. ``finished`` takes those of each layer."""
        inputs, kept = tape
        found: dict[str, Gradient] = {}

        def layer_finished(of_layer: Mapping[str, Array]) -> None:
            own = {"stack." + name: Gradient(d) for name, d in of_layer.items()}
            found.update(own)
            if finished is not None:
                finished(own)

        d_inputs, _, _ = self.stack.backward(
            kept, d_outputs_TBH, spend=True, workspace=workspace, finished=layer_finished
        )
        name = ONE_HOT if self.member.embedding_VE is None else EMBEDDING
        return {name: inputs.embedding_gradient(self.stack.kernels, d_inputs, workspace), **found}

    def _inputs(self, tokens_TB: Array, dropout: DropoutDraw | None) -> TokenInputs:
        """What the stack takes for these tokens: the shortest way to the first layer."""
        stack, vocab_size = self.stack, self.member.vocab_size
        if stack.stack.dropout.inputs == 0:
            dropout = None
        embedding_VE = self.embedding_VE
        if embedding_VE is None:
            scale_TB = None if dropout is None else stack.drop_one(tokens_TB, 0, dropout)
            return OneHotTokens(tokens_TB, self.weight, scale_TB, self.table_VG, vocab_size)
        if dropout is not None:
            return VectorTokens(tokens_TB, embedding_VE, partial(stack.drop, layer=0, dropout=dropout))
        if self.table_VG is None and tokens_TB.size <= vocab_size:
            return VectorTokens(tokens_TB, embedding_VE, None)
        return TableTokens(tokens_TB, embedding_VE, self.table_VG)


def prefix(config: ModelConfig, place: int) -> str:
    """The prefix of the names of a member's parameters."""
    return "" if config.members == 1 else f"members.{place}."


def _vectors(shape: tuple[int, int], seed: int | None, tied: bool, dtype: np.dtype[np.generic]) -> Array:
    """Normal initial vectors: of deviation 1 as PyTorch's; of length 1 where the head shares them."""
    if seed is None:
        return np.zeros(shape, dtype)
    deviation = shape[1] ** -0.5 if tied else 1.0
    return (generator(seed, 0).standard_normal(shape) * deviation).astype(dtype)
