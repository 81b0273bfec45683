"""The forms in which the file of a finished run may hold its weights, from the smallest to the most exact.

Matrices are codes of eight bits or float16 (``compact_matrices``), tables of logits codes up to a greatest
one (``compact_table``). What a form costs depends on the model: ``training.keep_best`` measures it and takes
the first that costs little. Coarse codes of a table cost nothing that can be measured in one model, and
0.0008 nats per character in an ensemble of four, whose table is a mean; matrices hardly ever cost anything
(decision 074).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pantoum.inference.files.compact_matrices import Arrays, Form, coded, halved
from pantoum.inference.files.compact_table import compacted
from pantoum.kernels import Array

__all__ = ["FinishedForm", "finished_forms"]


class FinishedForm(NamedTuple):
    """A form of matrices and one of tables."""

    matrices: Form
    greatest_code: int
    """The greatest code that a table may have."""

    def of(self, weights: Mapping[str, Array], tables: Sequence[str]) -> tuple[Arrays, Arrays]:
        """(the weights as a file holds them, and as whoever reads the file has them in float32)."""
        held, after = compacted(weights, tables, self.greatest_code)
        matrices, read = self.matrices({name: array for name, array in weights.items() if name not in tables})
        return {name: array for name, array in held.items() if name not in read} | matrices, after | read


def finished_forms(tables: Sequence[str]) -> tuple[FinishedForm, ...]:
    """Those for a model with these tables of logits, the smallest first."""
    smallest, exact, halves = FinishedForm(coded, 31), FinishedForm(coded, 127), FinishedForm(halved, 127)
    return (smallest, exact, halves) if tables else (exact, halves)
