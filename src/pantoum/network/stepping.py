"""Reading one token for each row of a batch: made once from a program, then one call per token.

Where the backend has a stepper (``kernels.native``), all layers and the head are one call of it, whatever the
precision of the model's matrices; what the core lacks and what looks at tokens alone is mixed in afterwards.
Elsewhere a step is a scan of one step. Both update the states in place and give the same bits as
``Program.last_logits``.

A scan writes the input projections of a whole block and reads them again. A step keeps what one layer gives
to the next in the processor's cache. So the losses of many streams are found by steps in less time in int8,
where the matrices of a model stay in the cache, too. In float32 that is slower where the matrices are large
(docs/log/inference.md).

Shapes: R rows that there is room for, B rows read, T steps, C rows of logits, V symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from pantoum.kernels import Array
from pantoum.kernels.types import RowCall
from pantoum.network.checks import check_resets, time_major_targets, time_major_tokens
from pantoum.network.mixers import Mixer
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program

FEWEST_STREAMS, MOST_LOGITS = 32, 1 << 22
"""Streams from which steps are faster, and the most logits of a block, which are kept until its end."""


def stepper(program: Program, tokens_R: Array, state: NetworkState, logits_CV: Array) -> RowCall:
    """Steps through a program of tokens [R], a state of R rows and logits that live in these arrays: the
    model reads the tokens of the rows, their states go on in place, and the logits are those of their next
    tokens."""
    last = [mixer for mixer in program.mixers if mixer.sees_tokens]
    inside, arrays = program.without(last), state.arrays
    own = len(arrays) - sum(len(mixer.states(program.model.hidden_size)) for mixer in last)
    parts = None if program.mixers != (*inside.mixers, *last) else inside.step_parts()
    fast = None if parts is None else program.kernels.stepper(parts, tokens_R, arrays[:own], logits_CV)
    if fast is None:
        return scan_stepper(program, tokens_R, state, logits_CV)
    found: RowCall = fast.step
    return _mixing(found, last, tokens_R, arrays[own:], logits_CV) if last else found


def _mixing(
    step: RowCall, mixers: Sequence[Mixer], tokens_R: Array, arrays: Sequence[Array], logits_CV: Array
) -> RowCall:
    """A step, and then what these mixers, whose states are the arrays, make of its logits."""

    def mixed_step(first: int, count: int) -> None:
        step(first, count)
        rows, left = slice(first, first + count), iter(arrays)
        for mixer in mixers:
            own = [array[rows] for array in islice(left, len(mixer.states(0)))]
            mixer.step(tokens_R[rows], own, logits_CV[:count])

    return mixed_step


def scan_stepper(program: Program, tokens_R: Array, state: NetworkState, logits_CV: Array) -> RowCall:
    """The same as scans of one step."""

    @np.errstate(over="ignore", invalid="ignore")  # the draw refuses logits that are not finite
    def step(first: int, count: int) -> None:
        rows = slice(first, first + count)
        logits_BV, after = program.last_logits(tokens_R[rows, None], state.select(rows))
        for array, now in zip(state.arrays, after.arrays, strict=True):
            array[rows] = now
        logits_CV[:count] = logits_BV

    return step


class SteppedLosses:
    """``Program.losses`` of so many streams; made once, for many blocks."""

    def __init__(self, program: Program, batch_size: int) -> None:
        self._program, self._state = program, program.initial_state(batch_size)
        self._tokens_B = np.zeros(batch_size, np.int32)
        self._logits_BV = np.empty((batch_size, program.vocab_size), program.model.dtype)
        self._step = stepper(program, self._tokens_B, self._state, self._logits_BV)

    @staticmethod
    def are_faster(program: Program, streams: int, tokens: int) -> bool:
        """Whether a block of so many tokens, of so many streams, is read in less time than by scans."""
        if streams < FEWEST_STREAMS or program.mixed_in or program.head.weight.precision != "int8":
            return False
        return tokens * program.vocab_size <= MOST_LOGITS

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
            self._step(0, B)
            logits_TBV[t] = self._logits_BV
        nats_N, predictions_N = self._program.kernels.cross_entropy_of_logits(
            logits_TBV.reshape(T * B, V), targets_TB.reshape(-1)
        )
        return nats_N.reshape(T, B).T.copy(), predictions_N.reshape(T, B).T.copy(), self._state.copy()
