"""The language model: tokens -> embedding -> stack -> head -> losses, and the gradient of all of it.
Beside the stack there may be n-grams (``ngrams``), whose logits are added to the head's.

One implementation serves training, generation, scoring and adapting. The state goes in as an argument and
comes out as a result. ``gradients`` is the forward and the backward pass of one batch; reading without
gradients is in ``packed_model``, whose calls are repeated here for a single use.

Shapes: B streams, T steps, N = T*B, H units, V symbols.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pantoum.config import CELLS, DropoutConfig, ModelConfig, whole
from pantoum.kernels import Array, Workspace
from pantoum.network.block import check_resets, check_state
from pantoum.network.cell import Cell
from pantoum.network.head import Head
from pantoum.network.ngrams import Ngrams, RowGradient
from pantoum.network.packed_model import PackedLanguageModel, time_major_targets
from pantoum.network.parameters import Parameters, generator
from pantoum.network.stack import Stack
from pantoum.network.tokens import time_major_tokens
from pantoum.network.unroll import dropout_draw

__all__ = ["LanguageModel", "StepResult"]


@dataclass(frozen=True)
class StepResult:
    """What one batch gives. The gradients may live in the workspace: they hold until its next use."""

    loss: float
    """Mean nats over all targets."""
    accuracy: float
    """Share of targets that were the most probable symbol."""
    nats_BT: Array
    """Of each target, before anything is learned from it."""
    predictions_BT: Array
    state: Any
    """The state to hand to the next batch, row by row."""
    gradients: dict[str, Any]
    """Of the mean loss, by parameter name: arrays, and that of the n-grams' table a ``RowGradient``."""


Made = TypeVar("Made", bound="LanguageModel")


class LanguageModel:
    """A recurrent model of the next token."""

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int | None = None,
        cell: str = "gru",
        hidden_size: int = 512,
        num_layers: int = 3,
        seed: int | None = 0,
        *,
        tied: bool = False,
        residual: bool = False,
        norm: str | None = None,
        dropout: DropoutConfig | str | float | None = None,
        ngrams: tuple[int, ...] = (),
        ngram_rows: int = 16_384,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        """``seed=None`` leaves all parameters zero, to be filled."""
        if not isinstance(dropout, DropoutConfig):
            dropout = DropoutConfig() if dropout is None else DropoutConfig.parse(dropout)
        self.config = ModelConfig(
            cell, hidden_size, num_layers, embedding_size, tied, residual, norm, dropout, ngrams, ngram_rows
        )
        whole(vocab_size, "vocab_size")
        self.vocab_size, self.dtype = vocab_size, np.dtype(dtype)
        self.embedding_VE = None if embedding_size is None else self._embedding(embedding_size, seed)
        sizes = [vocab_size if embedding_size is None else embedding_size] + [hidden_size] * (num_layers - 1)
        self.stack = Stack(
            [
                Cell(CELLS[cell], size, hidden_size, seed, dtype=self.dtype, place=place)
                for place, size in enumerate(sizes)
            ],
            residual,
            norm,
            dropout,
        )
        self.head = Head(vocab_size, hidden_size, seed, self.dtype, self.embedding_VE if tied else None)
        self.ngrams = (
            Ngrams(vocab_size, self.config.ngrams, ngram_rows, self.dtype) if self.config.ngrams else None
        )
        embedding = {} if self.embedding_VE is None else {"weight": self.embedding_VE}
        self.parameters = Parameters.joined(
            [
                ("embedding.", embedding),
                ("stack.", self.stack.parameters),
                ("head.", self.head.parameters),
                ("ngrams.", self.ngrams.parameters if self.ngrams else {}),
            ]
        )

    @classmethod
    def from_config(
        cls: type[Made],
        config: ModelConfig,
        vocab_size: int,
        seed: int | None = 0,
        *,
        dtype: npt.DTypeLike = np.float32,
    ) -> Made:
        """The model of a configuration."""
        return cls(
            vocab_size,
            config.embedding_size,
            config.cell,
            config.hidden_size,
            config.num_layers,
            seed,
            tied=config.tied,
            residual=config.residual,
            norm=config.norm,
            dropout=config.dropout,
            ngrams=config.ngrams,
            ngram_rows=config.ngram_rows,
            dtype=dtype,
        )

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return self.parameters.size

    def initial_state(self, batch_size: int) -> Any:
        """The zero state of ``batch_size`` streams: the layers', and last the n-grams'."""
        layers = self.stack.initial_state(batch_size)
        return layers if self.ngrams is None else (*layers, self.ngrams.initial_state(batch_size))

    def pack(self, precision: str = "float32") -> PackedLanguageModel:
        """The parameters ready for reading; keep it for many calls, pack again after they change."""
        return PackedLanguageModel(self, self.stack.pack(precision), self.head.pack(precision))

    def gradients(
        self,
        inputs_BT: Array,
        targets_BT: Array,
        state: Any,
        *,
        reset_BT: Array | None = None,
        dropout_key: tuple[int, int] | None = None,
        streams: Array | None = None,
        workspace: Workspace | None = None,
        precision: str = "float32",
        packed: PackedLanguageModel | None = None,
    ) -> StepResult:
        """The loss of a batch, the state after it, and the gradient of every parameter.

        Dropout is on with ``dropout_key=(seed, step)``; ``streams`` are the rows' global numbers. ``packed``
        is what the caller has packed from these very parameters; without it they are packed here."""
        workspace = Workspace() if workspace is None else workspace
        targets_TB = time_major_targets(targets_BT, inputs_BT, self.vocab_size)
        tokens_TB = time_major_tokens(inputs_BT, self.vocab_size, "inputs_BT")
        T, B = tokens_TB.shape
        state = check_state(state, self.initial_state(B))
        reset_TB = check_resets(reset_BT, B, T)
        dropout = dropout_draw(dropout_key, streams, B) if self.stack.dropout.active else None
        if packed is None:
            packed = workspace.kept(
                f"packed {id(self)} {precision}", lambda: self.pack(precision).for_steps()
            )
            packed.refresh()
        inputs = packed.inputs(tokens_TB, dropout, training=True)
        layers, beside = packed.beside(tokens_TB, state, reset_TB)
        hidden_TBH, layers, tape = packed.stack.forward(
            inputs, layers, reset_TB=reset_TB, dropout=dropout, tape=True, workspace=workspace.scope("stack")
        )
        targets_N = targets_TB.reshape(-1)
        nats_N, predictions_N, d_hidden_NH, of_head = packed.head.gradients(
            hidden_TBH.reshape(T * B, -1), targets_N, workspace.scope("head"), beside.logits_NV
        )
        d_embedding_VE, _, of_stack = packed.stack.backward(
            tape, d_hidden_NH.reshape(hidden_TBH.shape), spend=True, workspace=workspace.scope("stack")
        )
        return StepResult(
            loss=float(nats_N.mean(dtype=np.float64)),
            accuracy=float((predictions_N == targets_N).mean()),
            nats_BT=nats_N.reshape(T, B).T.copy(),
            predictions_BT=np.ascontiguousarray(predictions_N.reshape(T, B).T),
            state=beside.joined(layers),
            gradients=self._by_name(d_embedding_VE, of_stack, of_head, beside.gradient(beside.logits_NV)),
        )

    def logits(
        self, tokens_BT: Array, state: Any, *, reset_BT: Array | None = None, lengths: Array | None = None
    ) -> tuple[Array, Any]:
        """(logits [B,T,V] of the token after each, state)."""
        return self.pack().logits(tokens_BT, state, reset_BT=reset_BT, lengths=lengths)

    def last_logits(
        self,
        tokens_BT: Array,
        state: Any,
        *,
        lengths: Array | None = None,
    ) -> tuple[Array, Any, Array]:
        """(logits [B,V] after each row's last token, state, hidden [B,H] there)."""
        return self.pack().last_logits(tokens_BT, state, lengths=lengths)

    def losses(
        self,
        inputs_BT: Array,
        targets_BT: Array,
        state: Any,
        *,
        reset_BT: Array | None = None,
        lengths: Array | None = None,
    ) -> tuple[Array, Array, Any]:
        """(nats [B,T] of the targets, predictions [B,T], state)."""
        return self.pack().losses(inputs_BT, targets_BT, state, reset_BT=reset_BT, lengths=lengths)

    def hidden(self, tokens_BT: Array, state: Any, *, reset_BT: Array | None = None) -> tuple[Array, Any]:
        """(the last layer's outputs [B,T,H], state)."""
        return self.pack().hidden(tokens_BT, state, reset_BT=reset_BT)

    def _embedding(self, embedding_size: int, seed: int | None) -> Array:
        """Normal initial vectors: of deviation 1 as PyTorch's; of length 1 where the head shares them."""
        shape = (self.vocab_size, embedding_size)
        if seed is None:
            return np.zeros(shape, self.dtype)
        deviation = embedding_size**-0.5 if self.config.tied else 1.0
        return (generator(seed, 0).standard_normal(shape) * deviation).astype(self.dtype)

    def _by_name(
        self,
        d_embedding_VE: Any,
        of_stack: dict[str, Array],
        of_head: dict[str, Array],
        of_ngrams: RowGradient | None,
    ) -> dict[str, Any]:
        """The gradients of the parts under the model's names and in its order."""
        found: dict[str, Any] = {"stack." + name: d for name, d in of_stack.items()}
        found |= {"head." + name: d for name, d in of_head.items()}
        if self.embedding_VE is not None:
            if self.config.tied:
                d_embedding_VE += found.pop("head.weight")
            found["embedding.weight"] = d_embedding_VE
        if of_ngrams is not None:
            found["ngrams.weight"] = of_ngrams
        return {name: found[name] for name in self.parameters}
