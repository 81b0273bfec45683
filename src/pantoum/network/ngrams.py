"""What the last few tokens say by themselves: each n-gram has a row of logits, which is added to the head's.

Maximum-entropy features, trained with the recurrent network (Mikolov, Deoras, Povey, Burget and Cernocky
2011, "Strategies for training large scale neural network language models"): what a handful of characters
decide is looked up, and the network learns what they leave open. A row is found by the hash of its n-gram, so
that the table has one size whatever the text; n-grams that meet in a row share it. It costs no products.

An n-gram ends with the token just read and never reaches over a reset: at a document's beginning there are
shorter ones. What it needs of the past is a state like any other: the last K = (highest order) - 1 tokens,
oldest first, each as its number + 1; 0 is none.

Shapes: T steps, B rows (streams), N = T*B, O orders (lengths of n-grams), K tokens kept,
V symbols, R rows of the table.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pantoum.config import check_table
from pantoum.config.model import TABLE
from pantoum.kernels import Array, Kernels, RowCodes, backend
from pantoum.kernels.step_model import StepTable
from pantoum.network.logit_table import LogitTable
from pantoum.network.packing import Weight, looked_up
from pantoum.network.parameters import Parameters

__all__ = ["TABLE", "Ngrams"]

MULTIPLIER = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: the upper bits of a product with it are Fibonacci hashing (Knuth, vol. 3)."""


class Ngrams:
    """The table of all orders, [O * rows, V]: that of each order after the one before. It begins at 0."""

    def __init__(
        self,
        vocab_size: int,
        orders: tuple[int, ...],
        rows: int,
        dtype: np.dtype[np.generic],
    ) -> None:
        check_table(orders, rows, vocab_size)
        self.orders, self.rows = orders, rows
        self.kept = max(orders) - 1
        self.dtype, self.base = dtype, vocab_size + 1
        self.parameters = Parameters({"weight": np.zeros((len(orders) * rows, vocab_size), dtype)})
        self.kernels: Kernels = backend(dtype)

    def pack(self, weights: Mapping[str, Weight]) -> LogitTable:
        """The table among these weights of a model, as a program holds it."""
        return LogitTable(TABLE, looked_up(weights[TABLE]), self)

    def described(self, weight_RV: Array | RowCodes) -> StepTable:
        """The table as a stepper of the kernels takes it."""
        return StepTable(weight_RV, self.orders, self.rows)

    def initial_state(self, batch_size: int) -> Array:
        """No tokens yet [B,K]."""
        return np.zeros((batch_size, self.kept), self.dtype)

    def find(
        self, tokens_TB: Array, recent_BK: Array, reset_TB: Array | None = None, lengths: Array | None = None
    ) -> tuple[Array, Array]:
        """(the table's row of each n-gram [N,O] int32, the state after the tokens [B,K]). Past a row's length
        the state stays."""
        T, B = tokens_TB.shape
        K, steps_T1 = self.kept, np.arange(T)[:, None]
        known_BK = np.where((recent_BK >= 1) & (recent_BK < 2.0**31), recent_BK, 0)  # whatever a file holds
        history_SB = np.concatenate([known_BK.T, tokens_TB + 1]).astype(np.uint64)
        begun_TB = None
        if reset_TB is not None:  # the step at which what may be seen begins, none: before all
            begun_TB = np.maximum.accumulate(np.where(reset_TB, steps_T1, -K))
        key_TB, power = np.zeros((T, B), np.uint64), 1
        rows_OTB = np.empty((len(self.orders), T, B), np.int32)
        for back in range(K + 1):
            token_TB = history_SB[K - back : K - back + T]
            if begun_TB is not None:
                token_TB = np.where(steps_T1 - back >= begun_TB, token_TB, np.uint64(0))
            key_TB = key_TB + token_TB * np.uint64(power)
            power = power * self.base % 2**64
            if back + 1 in self.orders:
                place = self.orders.index(back + 1)
                rows_OTB[place] = self._hashed(key_TB) + place * self.rows
        ends_B = np.full(B, T) if lengths is None else np.asarray(lengths)
        places_BK = ends_B[:, None] + np.arange(K)
        after_BK = history_SB[places_BK, np.arange(B)[:, None]]
        if begun_TB is not None:
            begun_B = np.where(ends_B > 0, begun_TB[np.maximum(ends_B, 1) - 1, np.arange(B)], -K)
            after_BK = np.where(places_BK - K >= begun_B[:, None], after_BK, np.uint64(0))
        rows_NO = np.ascontiguousarray(rows_OTB.reshape(len(self.orders), T * B).T)
        return rows_NO, after_BK.astype(self.dtype)

    def _hashed(self, key_TB: Array) -> Array:
        shift = np.uint64(64 - (self.rows.bit_length() - 1))
        place_TB: Array = (key_TB * np.uint64(MULTIPLIER)) >> shift
        return place_TB
