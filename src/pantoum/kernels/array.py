"""The arrays of the kernels: of any dtype and number of axes. Names carry the shape, as in ``x_TBH``."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

__all__ = ["Array"]

Array: TypeAlias = npt.NDArray[Any]
