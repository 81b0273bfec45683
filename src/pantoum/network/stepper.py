"""Reading one token for each row of a batch: made once from a packed model, then a call a token.

Where the backend has a stepper (``kernels.native``), all layers and the head are one call of it, whatever the
precision of the model's matrices. Elsewhere a step is a scan of one step. Both update the states in place
and give the same bits as ``PackedLanguageModel.last_logits``.

Shapes: R rows that there is room for, B rows read, C rows of logits, V symbols, H units, G gate rows,
K tokens that the n-grams look back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pantoum.kernels import Array
from pantoum.kernels.step_model import StepLayer, StepModel, StepNgrams
from pantoum.network.packed_model import PackedLanguageModel
from pantoum.network.state import from_arrays, to_arrays

__all__ = ["Stepper", "stepper"]


class Stepper(Protocol):
    """Steps of rows of a batch."""

    def step(self, first: int, count: int) -> None:
        """The model reads the tokens of the rows first .. first + count - 1; the first ``count`` logits are
        those of their next tokens."""
        ...


def stepper(
    packed: PackedLanguageModel,
    tokens_R: Array,
    states: Sequence[Array],
    logits_CV: Array,
) -> Stepper:
    """Steps through a model of tokens [R], states (arrays [R,H], and [R,K] of the n-grams, in the order of
    ``network.state.to_arrays``) and logits that live in these arrays. After ``packed.refresh`` it is to be
    made again."""
    fast = packed.stack.kernels.stepper(described(packed), tokens_R, states, logits_CV)
    return ScanStepper(packed, tokens_R, states, logits_CV) if fast is None else fast


class ScanStepper:
    """Steps as scans of one step."""

    def __init__(
        self, packed: PackedLanguageModel, tokens_R: Array, states: Sequence[Array], logits_CV: Array
    ) -> None:
        self._packed, self._tokens_R, self._states, self._logits_CV = packed, tokens_R, states, logits_CV
        self._template = packed.model.initial_state(1)

    @np.errstate(over="ignore", invalid="ignore")  # the draw refuses logits that are not finite
    def step(self, first: int, count: int) -> None:
        """As ``Stepper.step``."""
        rows = slice(first, first + count)
        state = from_arrays(self._template, [array_RH[rows] for array_RH in self._states])
        logits_BV, state, _ = self._packed.last_logits(self._tokens_R[rows, None], state)
        for array_RH, now_BH in zip(self._states, to_arrays(state), strict=True):
            array_RH[rows] = now_BH
        self._logits_CV[:count] = logits_BV


def described(packed: PackedLanguageModel) -> StepModel:
    """A packed model as a stepper takes it."""
    stack, model, ngrams = packed.stack.stack, packed.model, packed.model.ngrams
    table_VG = packed.symbol_table()
    layers = []
    for number, cell in enumerate(packed.stack.cells):
        own = stack.norms[number]
        layers.append(
            StepLayer(
                weight_ih=None if number == 0 and table_VG is not None else cell.weight_ih,
                weight_hh=cell.weight_hh,
                input_bias_G=cell.bias_G,
                scan_bias_H=cell.scan_bias_H,
                norm=(own["weight"], own["bias"]) if own else None,
                residual=stack.adds(number),
            )
        )
    return StepModel(
        stack.cells[0].spec,
        stack.hidden_size,
        tuple(layers),
        table_VG,
        model.embedding_VE,
        packed.head.weight,
        packed.head.bias_V,
        packed.head.projection,
        StepNgrams(ngrams.parameters["weight"], ngrams.orders, ngrams.rows) if ngrams else None,
    )
