"""A language model's weights ready for a run of products: hidden states, logits and losses of given tokens.

``LanguageModel.pack`` makes one. Whoever reads token by token keeps it, so that nothing is packed again,
and makes a new one after the parameters change. Each call takes tokens [B,T] and a state, and gives the
state after them; nothing of a call is remembered.

Shapes: B streams, T steps, N = T*B, H units, V symbols, G gate rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pantoum.errors import SettingError
from pantoum.kernels import Array, Workspace
from pantoum.network.block import DropoutDraw, check_lengths, check_resets, check_state
from pantoum.network.cell import Inputs
from pantoum.network.embedding import OneHotTokens, TableTokens, VectorTokens, symbol_drives
from pantoum.network.head import PackedHead
from pantoum.network.ngrams import Beside
from pantoum.network.stack import PackedStack
from pantoum.network.tokens import time_major_tokens

if TYPE_CHECKING:
    from pantoum.network.language_model import LanguageModel

__all__ = ["PackedLanguageModel"]

# Up to this vocabulary the drives of all symbols are made once for reading: then an input costs one row.
MOST_KEPT = 1024


@dataclass
class PackedLanguageModel:
    """A language model's parameters as the kernels take them."""

    model: LanguageModel
    stack: PackedStack
    head: PackedHead

    def __post_init__(self) -> None:
        self._table_VG: Array | None = None

    def for_steps(self) -> PackedLanguageModel:
        """The same, for training steps alone: each asks for a layer's matrices once forward and once back, so
        that they are packed by turns and never lie there all at once."""
        self.stack.share()
        return self

    def refresh(self) -> None:
        """The parameters changed in place: what was made from them is made anew, in the same memory."""
        self.stack.refresh()
        self.head.refresh()
        self._table_VG = None

    def forget(self) -> None:
        """Nothing will be refreshed or trained: hold the panels and not the weights. What the model holds in
        memory anyway (input vectors, which a tied head shares) stays."""
        model = self.model
        for layer, cell in enumerate(self.stack.cells):
            cell.forget(inputs=layer > 0 or model.embedding_VE is not None)
        if not model.config.tied:
            self.head.weight.forget()
        if self.head.projection is not None:
            self.head.projection.forget()

    def logits(
        self, tokens_BT: Array, state: Any, *, reset_BT: Array | None = None, lengths: Array | None = None
    ) -> tuple[Array, Any]:
        """(logits [B,T,V] of the token after each, state)."""
        hidden_TBH, beside, state = self._read(tokens_BT, state, reset_BT, lengths)
        T, B, H = hidden_TBH.shape
        logits_TBV = self.head.logits(hidden_TBH.reshape(T * B, H), beside.logits_NV).reshape(T, B, -1)
        return np.ascontiguousarray(logits_TBV.swapaxes(0, 1)), state

    def last_logits(
        self,
        tokens_BT: Array,
        state: Any,
        *,
        lengths: Array | None = None,
    ) -> tuple[Array, Any, Array]:
        """(logits [B,V] after each row's last token, state, hidden [B,H] there); each row has one."""
        if lengths is not None and np.size(lengths) and np.min(lengths) < 1:
            raise SettingError(
                "lengths",
                np.asarray(lengths).tolist(),
                "must be at least 1: each row needs a last token",
                "leave rows of length 0 out",
            )
        hidden_TBH, beside, state = self._read(tokens_BT, state, None, lengths)
        T, B, _ = hidden_TBH.shape
        last_B = np.full(B, T - 1) if lengths is None else np.asarray(lengths) - 1
        hidden_BH = hidden_TBH[last_B, np.arange(B)]
        return self.head.logits(hidden_BH, beside.some(last_B * B + np.arange(B))), state, hidden_BH

    def losses(
        self,
        inputs_BT: Array,
        targets_BT: Array,
        state: Any,
        *,
        reset_BT: Array | None = None,
        lengths: Array | None = None,
        workspace: Workspace | None = None,
    ) -> tuple[Array, Array, Any]:
        """(nats [B,T] of the targets, predictions [B,T], state); past a row's length both are 0. Whoever
        calls often owns a workspace: fresh memory at each call can cost more than the arithmetic."""
        workspace = Workspace() if workspace is None else workspace
        targets_TB = time_major_targets(targets_BT, inputs_BT, self.model.vocab_size)
        hidden_TBH, beside, state = self._read(inputs_BT, state, reset_BT, lengths, workspace.scope("stack"))
        T, B, H = hidden_TBH.shape
        nats_N, predictions_N = self.head.losses(
            hidden_TBH.reshape(T * B, H), targets_TB.reshape(-1), workspace.scope("head"), beside.logits_NV
        )
        nats_BT, predictions_BT = nats_N.reshape(T, B).T.copy(), predictions_N.reshape(T, B).T.copy()
        if lengths is not None:
            ended_BT = np.arange(T) >= np.asarray(lengths)[:, None]
            nats_BT[ended_BT], predictions_BT[ended_BT] = 0, 0
        return nats_BT, predictions_BT, state

    def hidden(
        self, tokens_BT: Array, state: Any, *, reset_BT: Array | None = None, lengths: Array | None = None
    ) -> tuple[Array, Any]:
        """(the last layer's outputs [B,T,H], state)."""
        hidden_TBH, _, state = self._read(tokens_BT, state, reset_BT, lengths)
        return np.ascontiguousarray(hidden_TBH.swapaxes(0, 1)), state

    def inputs(self, tokens_TB: Array, dropout: DropoutDraw | None, training: bool) -> Inputs:
        """What the stack takes for these tokens: the shortest way to the first layer."""
        model = self.model
        if model.stack.dropout.inputs == 0:
            dropout = None
        many = tokens_TB.size > model.vocab_size
        table_VG = None if training else self._kept_table(many)
        if model.embedding_VE is None:
            scale_TB = None if dropout is None else self.stack.drop_one(tokens_TB, 0, dropout)
            return OneHotTokens(tokens_TB, scale_TB, table_VG, model.vocab_size)
        if dropout is not None:
            drop = partial(self.stack.drop, layer=0, dropout=dropout)
            return VectorTokens(tokens_TB, model.embedding_VE, drop)
        if table_VG is None and not many:
            return VectorTokens(tokens_TB, model.embedding_VE, None)
        return TableTokens(tokens_TB, model.embedding_VE, table_VG)

    def symbol_table(self) -> Array | None:
        """The first layer's drive of every symbol [V,G], kept; None where the embedding's rows are read
        instead, because there are too many symbols."""
        return self._kept_table(self.model.embedding_VE is None)

    def _kept_table(self, many: bool) -> Array | None:
        if self._table_VG is None and (many or self.model.vocab_size <= MOST_KEPT):
            self._table_VG = symbol_drives(self.stack.cells[0], self.model.embedding_VE)
        return self._table_VG

    def _read(
        self,
        tokens_BT: Array,
        state: Any,
        reset_BT: Array | None,
        lengths: Array | None,
        workspace: Workspace | None = None,
    ) -> tuple[Array, Beside, Any]:
        tokens_TB = time_major_tokens(tokens_BT, self.model.vocab_size)
        T, B = tokens_TB.shape
        state = check_state(state, self.model.initial_state(B))
        lengths, reset_TB = check_lengths(lengths, B, T), check_resets(reset_BT, B, T)
        layers, beside = self.beside(tokens_TB, state, reset_TB, lengths)
        outputs_TBH, layers, _ = self.stack.forward(
            self.inputs(tokens_TB, None, training=False),
            layers,
            reset_TB=reset_TB,
            lengths=lengths,
            workspace=workspace,
        )
        return outputs_TBH, beside, beside.joined(layers)

    def beside(
        self,
        tokens_TB: Array,
        state: Any,
        reset_TB: Array | None,
        lengths: Array | None = None,
    ) -> tuple[Any, Beside]:
        """(the layers' part of the state, what the n-grams say of these tokens)."""
        ngrams = self.model.ngrams
        if ngrams is None:
            return state, Beside()
        rows_NO, recent_BK = ngrams.find(tokens_TB, state[-1], reset_TB, lengths)
        return state[:-1], Beside(ngrams, rows_NO, recent_BK)


def time_major_targets(targets_BT: Any, inputs_BT: Any, vocab_size: int) -> Array:
    """Targets [T,B], of the inputs' shape."""
    targets_TB = time_major_tokens(targets_BT, vocab_size, "targets_BT")
    if targets_TB.T.shape != np.shape(inputs_BT):
        raise SettingError(
            "targets_BT",
            targets_TB.T.shape,
            f"must have the inputs' shape {np.shape(inputs_BT)}",
            "give one target for each input",
        )
    return targets_TB
