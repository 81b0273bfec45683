"""A table of logits as a program holds it: a token looks up some rows, whose sum is added to its logits.

The features that own the table (n-grams) say which rows a token has, and which tokens before it they need for
that. An update changes the rows in use and no others.

Shapes: T steps, B rows (streams), N = T*B, O rows per token, K tokens kept, R rows of the table, V symbols.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pantoum.kernels import Array, Kernels, RowCodes
from pantoum.kernels.step_model import StepTable
from pantoum.network.gradient import Gradient

__all__ = ["FoundRows", "LogitTable"]


class Features(Protocol):
    """What tokens look up."""

    kernels: Kernels

    def find(
        self, tokens_TB: Array, recent_BK: Array, reset_TB: Array | None, lengths: Array | None
    ) -> tuple[Array, Array]:
        """(the rows of each token [N,O] int32, the state after the tokens [B,K])."""
        ...

    def described(self, weight_RV: Array | RowCodes) -> StepTable:
        """The table as a stepper of the kernels takes it."""
        ...


@dataclass(frozen=True)
class LogitTable:
    """The weights of a table, and what looks them up."""

    name: str
    """The name of the parameter."""
    weight_RV: Array | RowCodes
    features: Features

    def find(
        self, tokens_TB: Array, recent_BK: Array, reset_TB: Array | None, lengths: Array | None
    ) -> FoundRows:
        """The rows of these tokens."""
        return FoundRows(self, *self.features.find(tokens_TB, recent_BK, reset_TB, lengths))


@dataclass(frozen=True)
class FoundRows:
    """The rows of N tokens, and the state after them."""

    table: LogitTable
    rows_NO: Array
    recent_BK: Array

    def logits(self, tokens: Array | slice | None = None) -> Array:
        """The sum of the rows of each token [N,V], a fresh array; ``tokens``: of some of them."""
        rows_NO = self.rows_NO if tokens is None else self.rows_NO[tokens]
        return self.table.features.kernels.lookup_sum(self.table.weight_RV, rows_NO)

    def gradients(self, d_logits_NV: Array) -> dict[str, Gradient]:
        """The gradient of the table, by its name, from the gradient of the logits."""
        rows_U, values_UV = self.table.features.kernels.lookup_sum_gradient(d_logits_NV, self.rows_NO)
        return {self.table.name: Gradient(values_UV, rows_U)}
