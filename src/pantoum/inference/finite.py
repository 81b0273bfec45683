"""Refuses figures of a model that are not finite.

A NaN compares as false with every threshold: a damaged model would raise no alert, and its text would pass as
ordinary. Finite weights do not prevent it, because products of large weights overflow. Every path that reads
text with a model calls ``require_finite`` on what it read.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pantoum.errors import PantoumError
from pantoum.kernels import Array
from pantoum.kernels.draw_rows import NOT_FINITE

__all__ = ["require_finite"]


def require_finite(arrays: Iterable[Array]) -> None:
    """Raise ``PantoumError`` unless every number of these arrays is finite."""
    if not all(bool(np.isfinite(array).all()) for array in arrays):
        raise PantoumError(NOT_FINITE)
