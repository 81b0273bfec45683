"""What is put beside the network: it looks at the tokens read and at the outputs of the last layers, keeps a
state of its own, and changes the distribution of the next token.

    logits of the head + what mixers add -> softmax -> what the others mix in, one after the other

A ``Mixer`` finds, for the tokens of a block, all that it needs to know of them (``Found``) and the state
after them; the rest are questions to that. A mixer is one file: those methods of ``Found`` that it does not
have do nothing.

``History`` has the last tokens of each stream, for what looks back on them: up to a reset, and across blocks.

Shapes: T steps, B rows (streams), N = T*B tokens in the order of the steps, K tokens kept, S = K + T,
H units, V symbols.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pantoum.kernels import Array, StepPart
from pantoum.network.gradient import Gradient
from pantoum.network.spec import StateArray

__all__ = ["Found", "History", "Mixer", "ReadTokens"]


@dataclass(frozen=True)
class ReadTokens:
    """The tokens of a block and what the network made of them."""

    tokens_TB: Array
    hidden_TBH: Array
    reset_TB: Array | None
    lengths: Array | None
    vocab_size: int


class Found:
    """What a mixer knows of N tokens."""

    whole_rows: ClassVar[bool] = False
    """Whether the nats of a target need the logits of all symbols."""
    state: tuple[Array, ...]
    """Its state after the tokens; past the length of a row that stays as it was."""

    def added(self, tokens: Array | slice | None = None) -> Array:
        """The logits [N,V] that are added, a fresh array; ``tokens``: those of some of the N tokens."""
        raise NotImplementedError

    def gradients(self, d_added_NV: Array) -> dict[str, Gradient]:
        """The gradients of its parameters from those of what it added."""
        return {}

    def mix(self, logits_NV: Array, tokens: Array | None = None) -> Array:
        """Logits, which are overwritten, become logarithms of the probabilities of the mixture; ``tokens``:
        these are those of some of the N tokens."""
        return logits_NV

    def nats(self, nats_N: Array, targets_N: Array) -> Array:
        """The nats of targets under the mixture, from those without it."""
        return nats_N

    def losses(self, logits_NV: Array, targets_N: Array, first: int, normal: bool) -> tuple[Array, Array]:
        """(nats of targets, the most probable symbols) under the mixture, of N of the tokens from number
        ``first`` on, from their logits, which are overwritten; ``normal``: these are logarithms of
        probabilities."""
        numbers = np.arange(len(targets_N))
        logits_NV = self.mix(logits_NV, first + numbers)
        return -logits_NV[numbers, targets_N], logits_NV.argmax(axis=1)


class Mixer(ABC):
    """One of them; it never changes."""

    name: ClassVar[str]
    adds: ClassVar[bool] = False
    """Whether it adds to the logits; otherwise it mixes with the distribution."""
    sees_tokens: ClassVar[bool] = False
    """Whether it looks at tokens alone, not at outputs of the layers, and the core's step lacks it."""

    @abstractmethod
    def states(self, units: int) -> tuple[StateArray, ...]:
        """The arrays of its state beside layers whose outputs have so many units in all."""

    @abstractmethod
    def find(self, read: ReadTokens, state: Sequence[Array]) -> Found:
        """What it knows of the tokens after this state."""

    def step(self, tokens_B: Array, state: Sequence[Array], logits_BV: Array) -> None:
        """If it ``sees_tokens`` alone: read a token of each row, and mix into its logits, in place."""
        raise NotImplementedError

    def step_part(self) -> StepPart | None:
        """Itself as the core's step of a whole model takes it; ``None``: that step lacks it; unless
        it ``sees_tokens`` alone, a model with it reads by scans of one step."""
        return None


class History:
    """The tokens of a block, each as its number + 1, after those that the state kept; 0: none."""

    def __init__(
        self, tokens_TB: Array, known_BK: Array, reset_TB: Array | None, lengths: Array | None
    ) -> None:
        """``known_BK``: the kept tokens, the oldest first, without what can be none."""
        (T, B), K = tokens_TB.shape, known_BK.shape[1]
        self.kept, self._steps_T1 = K, np.arange(T)[:, None]
        self.tokens_SB = np.concatenate([known_BK.T.astype(np.int64), tokens_TB.astype(np.int64) + 1])
        self._begun_TB = None
        if reset_TB is not None:  # the step at which what may be seen begins; none: before all
            self._begun_TB = np.maximum.accumulate(np.where(reset_TB, self._steps_T1, -K))
        self._ends_B = np.full(B, T) if lengths is None else np.asarray(lengths)

    def token(self, back: int) -> Array:
        """The token so many steps before each [T,B]."""
        start, T = self.kept - back, len(self._steps_T1)
        return self.shown(self.tokens_SB[start : start + T], back, 0)

    def last(self, number: int) -> Array:
        """The symbols of the last tokens that one may see, with its own, of the tokens in the order of the
        steps; -1: none."""
        step, row = divmod(number, self.tokens_SB.shape[1])
        begun = -self.kept if self._begun_TB is None else int(self._begun_TB[step, row])
        symbols_K: Array = self.tokens_SB[max(step, begun + self.kept) : step + self.kept + 1, row] - 1
        return symbols_K

    def shown(self, found_TB: Array, back: int, none: int) -> Array:
        """What each step found at the token so many steps before it; ``none`` where it may not see it."""
        if self._begun_TB is None:
            return found_TB
        return np.where(self._steps_T1 - back >= self._begun_TB, found_TB, none)

    def after(self) -> Array:
        """The last tokens after the block [B,K]; past the length of a row its state stays."""
        K, ends_B = self.kept, self._ends_B
        places_BK, rows_B = ends_B[:, None] + np.arange(K), np.arange(len(ends_B))
        after_BK: Array = self.tokens_SB[places_BK, rows_B[:, None]]
        if self._begun_TB is None:
            return after_BK
        begun_B = np.where(ends_B > 0, self._begun_TB[np.maximum(ends_B, 1) - 1, rows_B], -K)
        return np.where(places_BK - K >= begun_B[:, None], after_BK, 0)
