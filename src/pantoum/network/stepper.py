"""Reading one token for each row of a batch: made once from a program, then one call per token.

Where the backend has a stepper (``kernels.native``), all layers and the head are one call of it, whatever the
precision of the model's matrices. Elsewhere a step is a scan of one step. Both update the states in place
and give the same bits as ``Program.last_logits``.

Shapes: R rows that there is room for, B rows read, C rows of logits, V symbols, H units, G gate rows.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pantoum.kernels import Array
from pantoum.kernels.step_model import StepCounts, StepLayer, StepMember, StepModel
from pantoum.network.member import PackedMember
from pantoum.network.program import Program
from pantoum.network.state import NetworkState

__all__ = ["Stepper", "stepper"]


class Stepper(Protocol):
    """Steps of rows of a batch."""

    def step(self, first: int, count: int) -> None:
        """The model reads the tokens of the rows first .. first + count - 1; the first ``count`` logits are
        those of their next tokens."""
        ...


def stepper(program: Program, tokens_R: Array, state: NetworkState, logits_CV: Array) -> Stepper:
    """Steps through a program of tokens [R], a state of R rows and logits that live in these arrays."""
    if program.cache is not None:  # whose keys are the outputs of the last layers
        return ScanStepper(program, tokens_R, state, logits_CV)
    fast = program.kernels.stepper(described(program), tokens_R, state.arrays, logits_CV)
    return fast or ScanStepper(program, tokens_R, state, logits_CV)


class ScanStepper:
    """Steps as scans of one step."""

    def __init__(self, program: Program, tokens_R: Array, state: NetworkState, logits_CV: Array) -> None:
        self._program, self._tokens_R, self._state, self._logits_CV = program, tokens_R, state, logits_CV

    @np.errstate(over="ignore", invalid="ignore")  # the draw refuses logits that are not finite
    def step(self, first: int, count: int) -> None:
        """As ``Stepper.step``."""
        rows = slice(first, first + count)
        logits_BV, after, _ = self._program.last_logits(self._tokens_R[rows, None], self._state.select(rows))
        for array, now in zip(self._state.arrays, after.arrays, strict=True):
            array[rows] = now
        self._logits_CV[:count] = logits_BV


def described(program: Program) -> StepModel:
    """A program as a stepper takes it."""
    stack, table = program.members[0].stack.stack, program.table
    counts = program.counts
    return StepModel(
        stack.cells[0].spec,
        stack.hidden_size,
        tuple(_member(member) for member in program.members),
        program.head.weight,
        program.head.bias_V,
        program.head.projection,
        None if table is None else table.features.described(table.weight_RV),
        None if counts is None else StepCounts(counts.counts.tree, counts.weights_C),
    )


def _member(member: PackedMember) -> StepMember:
    layers = tuple(
        StepLayer(
            weight_ih=None if number == 0 and member.table_VG is not None else cell.weight_ih,
            weight_hh=cell.weight_hh,
            input_bias_G=cell.bias_G,
            scan_bias_H=cell.scan_bias_H,
        )
        for number, cell in enumerate(member.stack.cells)
    )
    return StepMember(layers, member.table_VG, member.embedding_VE)
