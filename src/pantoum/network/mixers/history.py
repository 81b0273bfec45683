"""The last tokens of each stream, for what looks back on them: up to a reset, and across blocks.

Shapes: T steps, B rows (streams), K tokens kept, S = K + T.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels import Array

__all__ = ["History"]


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
        steps."""
        step, row = divmod(number, self.tokens_SB.shape[1])
        begun = -self.kept if self._begun_TB is None else int(self._begun_TB[step, row])
        symbols_K = self.tokens_SB[max(step, begun + self.kept) : step + self.kept + 1, row] - 1
        gap = np.flatnonzero(symbols_K < 0)
        return symbols_K[gap[-1] + 1 :] if len(gap) else symbols_K

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
