"""How fast this machine reads packed matrices: the limit of products of one row, for benchmarks.

A loop of the core that only adds up all words of the panels, in the pool's threads, which meet after each
matrix as they do between the layers of a step.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from pantoum.kernels.native.library import core
from pantoum.kernels.native.product import PackedMatrix

__all__ = ["read_words"]


def read_words(matrices: Sequence[PackedMatrix], rounds: int) -> int:
    """Read the panels of all matrices ``rounds`` times over; the sum of their words, modulo 2^32."""
    count, total = len(matrices), ctypes.c_uint32(0)
    arrays = (ctypes.c_void_p * count)(*(matrix.panels(False) for matrix in matrices))
    words = (ctypes.c_int64 * count)(*(matrix.panel_bytes // 4 for matrix in matrices))
    core().call(
        "read_words",
        arrays=ctypes.addressof(arrays),
        words=ctypes.addressof(words),
        total=ctypes.addressof(total),
        count=count,
        rounds=rounds,
    )
    return total.value
