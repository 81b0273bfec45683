"""Frequencies of an entropy coder in the core: ``reference.frequencies``, with the same bits on every path.

Shapes: N rows, V symbols.
"""

from __future__ import annotations

from pantoum.errors import PantoumError
from pantoum.kernels.draw_rows import NOT_FINITE
from pantoum.kernels.native import library
from pantoum.kernels.native.library import core
from pantoum.kernels.types import Array

__all__ = ["frequencies"]


def frequencies(logits_NV: Array, total: int) -> None:
    """Logits become frequencies whose sum is ``total``, at most 2^24, in place."""
    operation, fill = core().operation("frequencies")
    status = operation(fill(logits=logits_NV, total=total))
    if status == library.NOT_FINITE:
        raise PantoumError(NOT_FINITE)
    if status:
        core().refuse("frequencies", status)
