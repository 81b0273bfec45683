"""Reading one token for each row of a batch: made once from a program, then one call per token. So are the
losses of many streams in int8 (``SteppedLosses``).

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
from pantoum.network.block import check_resets
from pantoum.network.member import PackedMember
from pantoum.network.program import Program
from pantoum.network.state import NetworkState
from pantoum.network.tokens import time_major_targets, time_major_tokens

__all__ = ["SteppedLosses", "Stepper", "stepper"]

FEWEST_ROWS, MOST_LOGITS = 32, 1 << 22
"""Rows from which losses are found by steps, and the most logits that exist then."""


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


class SteppedLosses:
    """``Program.losses`` of B streams token by token: the same bits.

    A scan writes the input projections of a whole block and reads them again; a step keeps what one layer
    gives to the next in the cache. It is the faster way in int8, where the matrices of a model stay in the
    cache, too; in float32 it is not where they are large."""

    def __init__(self, program: Program, batch_size: int) -> None:
        self._program, self._state = program, program.initial_state(batch_size)
        self._tokens_B = np.zeros(batch_size, np.int32)
        self._logits_BV = np.empty((batch_size, program.vocab_size), program.model.dtype)
        self._stepper = stepper(program, self._tokens_B, self._state, self._logits_BV)

    @staticmethod
    def pay(program: Program, inputs_BT: Array) -> bool:
        """Whether they are faster for a block of this size."""
        if len(inputs_BT) < FEWEST_ROWS or program.mixes or program.head.weight.precision != "int8":
            return False
        return inputs_BT.size * program.vocab_size <= MOST_LOGITS

    def losses(
        self, inputs_BT: Array, targets_BT: Array, state: NetworkState, reset_BT: Array | None = None
    ) -> tuple[Array, Array, NetworkState]:
        """As ``Program.losses``."""
        V = self._program.vocab_size
        tokens_TB, targets_TB = time_major_tokens(inputs_BT, V), time_major_targets(targets_BT, inputs_BT, V)
        (T, B), reset_TB = tokens_TB.shape, check_resets(reset_BT, *inputs_BT.shape)
        for own, given in zip(self._state.arrays, state.checked(self._state).arrays, strict=True):
            own[...] = given
        logits_TBV = np.empty((T, B, V), self._logits_BV.dtype)
        for t in range(T):
            if reset_TB is not None:
                for own in self._state.arrays:
                    own[reset_TB[t]] = 0
            self._tokens_B[...] = tokens_TB[t]
            self._stepper.step(0, B)
            logits_TBV[t] = self._logits_BV
        nats_N, predictions_N = self._program.kernels.cross_entropy_of_logits(
            logits_TBV.reshape(T * B, V), targets_TB.reshape(-1)
        )
        return nats_N.reshape(T, B).T.copy(), predictions_N.reshape(T, B).T.copy(), self._state.copy()


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
    stack = member.stack.stack
    layers = tuple(
        StepLayer(
            weight_ih=None if number == 0 and member.table_VG is not None else cell.weight_ih,
            weight_hh=cell.weight_hh,
            input_bias_G=cell.bias_G,
            scan_bias_H=cell.scan_bias_H,
            norm=member.stack.norms[number],
            residual=stack.adds(number),
        )
        for number, cell in enumerate(member.stack.cells)
    )
    return StepMember(layers, member.table_VG, member.embedding_VE)
