"""The losses of many streams, token by token through a stepper: the bits of ``Program.losses``, in less time.

A scan writes the input projections of a whole block and reads them again. A step keeps what one layer gives
to the next in the processor's cache. It is the faster way in int8, where the matrices of a model stay in the
cache, too. In float32 it is slower where the matrices are large (docs/log/inference.md).

Shapes: B streams, T steps, V symbols.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels import Array
from pantoum.network.block import check_resets
from pantoum.network.program import Program
from pantoum.network.state import NetworkState
from pantoum.network.stepper import stepper
from pantoum.network.tokens import time_major_targets, time_major_tokens

__all__ = ["SteppedLosses"]

FEWEST_STREAMS, MOST_LOGITS = 32, 1 << 22
"""Streams from which steps are faster, and the most logits of a block, which are kept until its end."""


class SteppedLosses:
    """``Program.losses`` of so many streams; made once, for many blocks."""

    def __init__(self, program: Program, batch_size: int) -> None:
        self._program, self._state = program, program.initial_state(batch_size)
        self._tokens_B = np.zeros(batch_size, np.int32)
        self._logits_BV = np.empty((batch_size, program.vocab_size), program.model.dtype)
        self._stepper = stepper(program, self._tokens_B, self._state, self._logits_BV)

    @staticmethod
    def are_faster(program: Program, inputs_BT: Array) -> bool:
        """Whether a block of these tokens [B,T] is read in less time than by scans."""
        if len(inputs_BT) < FEWEST_STREAMS or program.mixes or program.head.weight.precision != "int8":
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
