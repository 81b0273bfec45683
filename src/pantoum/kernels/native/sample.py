"""The draw of the next token: ``reference.sample`` in the core.

The arguments are made once: addresses of the columns and of the logits. A call changes two numbers of them.

Shapes: C rows of logits at once, V symbols, N banned tokens.
"""

from __future__ import annotations

from pantoum.errors import PantoumError
from pantoum.kernels.draw_rows import COLUMNS, NOT_FINITE, DrawRows
from pantoum.kernels.native import library
from pantoum.kernels.native.library import core
from pantoum.kernels.native.tables import checked_tokens
from pantoum.kernels.types import Array

__all__ = ["CoreSampler", "sampler"]


class CoreSampler:
    """Draws for rows of a batch, from logits in one array."""

    def __init__(self, rows: DrawRows, banned_N: Array, logits_CV: Array) -> None:
        C, V = logits_CV.shape
        banned_N = checked_tokens(banned_N, V, "banned_N")
        self._kept = banned_N, logits_CV, rows.arrays()
        self._most = C, len(rows)
        assert rows.allowed_RM is None or 32 * rows.allowed_RM.shape[1] >= V
        self._operation, fill = core().operation("sample")
        self._arguments = fill(
            logits=logits_CV,
            banned=banned_N,
            recent=rows.recent_RW,
            allowed=rows.allowed_RM,
            first=0,
            **{name: getattr(rows, name) for name in COLUMNS},
        )

    def draw(self, first: int, count: int) -> None:
        """One token for each of the rows first .. first + count - 1, from the first ``count`` logits."""
        assert 0 <= count <= self._most[0] and 0 <= first <= self._most[1] - count
        arguments = self._arguments
        arguments.first, arguments.count = first, count
        status = self._operation(arguments)
        if status == library.NOT_FINITE:
            raise PantoumError(NOT_FINITE)
        if status:
            core().refuse("sample", status)


def sampler(rows: DrawRows, banned_N: Array, logits_CV: Array) -> CoreSampler:
    """Draws for these rows from logits that are written to this array before each."""
    return CoreSampler(rows, banned_N, logits_CV)
