"""What the last few tokens say by themselves: each n-gram has a row of logits, which is added to the head's.

Maximum-entropy features, trained with the recurrent network (Mikolov, Deoras, Povey, Burget and Cernocky
2011, "Strategies for training large scale neural network language models"): what a handful of characters
decide is looked up, and the network learns what they leave open. A row is found by the hash of its n-gram, so
that the table has one size whatever the text; n-grams that meet in a row share it. It costs no products, and
an update changes the rows in use and no others.

An n-gram ends with the token just read and never reaches over a reset: at a document's beginning there are
shorter ones. What it needs of the past is a state like any other: the last K = (highest order) - 1 tokens,
oldest first, each as its number + 1; 0 is none.

Shapes: T steps, B rows (streams), N = T*B, O orders (lengths of n-grams), K tokens kept,
V symbols, R rows of the table: those of each order after those of the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pantoum.kernels import Array, Kernels, StepPart
from pantoum.network.gradient import Gradient
from pantoum.network.mixers import Found, History, Mixer, ReadTokens
from pantoum.network.packing import Weight, looked_up
from pantoum.network.spec import StateArray

MULTIPLIER = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: the upper bits of a product with it are Fibonacci hashing (Knuth, vol. 3)."""


class Ngrams(Mixer):
    """The table of all orders, and what looks it up."""

    name, adds = "ngrams", True

    def __init__(
        self,
        vocab_size: int,
        orders: tuple[int, ...],
        rows: int,
        table: str,
        weights: Mapping[str, Weight],
        kernels: Kernels,
    ) -> None:
        """``rows``: of one order; ``table``: the name of the parameter among the weights of a model."""
        self.orders, self.rows, self.table, self.kernels = orders, rows, table, kernels
        self.kept, self._base = max(orders) - 1, vocab_size + 1
        self.weight_RV = looked_up(weights[table])

    def states(self, units: int) -> tuple[StateArray, ...]:
        """The last tokens, which ``network.spec`` declares."""
        return (StateArray("ngrams.recent", self.kept, "tokens"),)

    def find(self, read: ReadTokens, state: Sequence[Array]) -> FoundRows:
        """The rows of these tokens."""
        (recent_BK,) = state
        rows_NO, after_BK = self.rows_of(read.tokens_TB, recent_BK, read.reset_TB, read.lengths)
        return FoundRows(self, rows_NO, (after_BK,))

    def rows_of(
        self, tokens_TB: Array, recent_BK: Array, reset_TB: Array | None = None, lengths: Array | None = None
    ) -> tuple[Array, Array]:
        """(the table's row of each n-gram [N,O] int32, the state after the tokens [B,K])."""
        T, B = tokens_TB.shape
        known_BK = np.where((recent_BK >= 1) & (recent_BK < 2.0**31), recent_BK, 0)  # whatever a file holds
        history = History(tokens_TB, known_BK, reset_TB, lengths)
        key_TB, power = np.zeros((T, B), np.uint64), 1
        rows_OTB = np.empty((len(self.orders), T, B), np.int32)
        for back in range(self.kept + 1):
            key_TB = key_TB + history.token(back).astype(np.uint64) * np.uint64(power)
            power = power * self._base % 2**64
            if back + 1 in self.orders:
                place = self.orders.index(back + 1)
                rows_OTB[place] = self._hashed(key_TB) + place * self.rows
        rows_NO = np.ascontiguousarray(rows_OTB.reshape(len(self.orders), T * B).T)
        return rows_NO, history.after().astype(recent_BK.dtype)

    def step_part(self) -> StepPart:
        own = {"table_RV": self.weight_RV, "orders": self.orders, "rows": self.rows}
        return StepPart("ngrams", own)

    def _hashed(self, key_TB: Array) -> Array:
        shift = np.uint64(64 - (self.rows.bit_length() - 1))
        place_TB: Array = (key_TB * np.uint64(MULTIPLIER)) >> shift
        return place_TB


@dataclass(frozen=True)
class FoundRows(Found):
    """The rows of N tokens."""

    ngrams: Ngrams
    rows_NO: Array
    state: tuple[Array, ...]

    def added(self, tokens: Array | slice | None = None) -> Array:
        """The sum of the rows of each token."""
        rows_NO = self.rows_NO if tokens is None else self.rows_NO[tokens]
        sum_NV: Array = self.ngrams.kernels.lookup_sum(self.ngrams.weight_RV, rows_NO)
        return sum_NV

    def gradients(self, d_added_NV: Array) -> dict[str, Gradient]:
        """That of the table: of its rows in use."""
        rows_U, values_UV = self.ngrams.kernels.lookup_sum_gradient(d_added_NV, self.rows_NO)
        return {self.ngrams.table: Gradient(values_UV, rows_U)}
