"""Which path of the core a process takes: the fastest, where the machine has several that can do the same.

They are AVX-512 and AVX2 in float32, whose results have the same bits, and the unit of AMX and the
instructions of AVX-512 in bf16. A path that lacks a precision which another has is not looked at: what a run
was trained in must stay possible. What was packed for a path is of no use for another, so the choice is made
before anything is packed, once per process; ``PANTOUM_ISA`` overrules it.
"""

from __future__ import annotations

import os
import threading
from functools import cache, partial

import numpy as np

from pantoum.kernels.native.library import Library, core
from pantoum.kernels.native.product import CoreMatrix
from pantoum.kernels.types import Array

__all__ = ["fastest_path", "take_fastest_path"]

ALIKE = ("avx2", "avx512"), ("bf16", "amx")
"""Paths with the same precisions, the one that ought to be the fastest last."""
CLEARLY = 1.05
"""How many times as long the last one takes where another is chosen."""
ROWS, HIDDEN = 64, 256

_taking = threading.Lock()


def take_fastest_path() -> None:
    """Set the core to it, if nobody has chosen a path. Other threads wait."""
    with _taking:
        _taken()


@cache
def _taken() -> None:
    if not os.environ.get("PANTOUM_ISA"):
        core().set_isa(fastest_path(core()))


def fastest_path(library: Library) -> str:
    """The fastest of the paths that can do what the present one can."""
    best = library.isa
    alike = next((paths for paths in ALIKE if best in paths), (best,))
    paths = [path for path in alike if path in library.paths()]
    if len(paths) == 1:
        return best
    from pantoum.kernels import measured

    random = np.random.default_rng(0)
    weight_GK = random.standard_normal((3 * HIDDEN, HIDDEN), np.float32)
    x_NK = random.standard_normal((ROWS, HIDDEN), np.float32)
    precision = "bf16" if library.has_bf16 else "float32"

    def product(path: str, packed: dict[str, CoreMatrix]) -> Array:
        library.set_isa(path)
        if path not in packed:
            packed[path] = CoreMatrix(weight_GK, precision, 3)
        return packed[path].product(x_NK)

    library.set_own_threads(1)  # so that a product is over before a busy machine turns to something else
    try:
        seconds = measured.least_times("path", {path: partial(product, path, {}) for path in paths})
    finally:
        library.set_own_threads(0)
        library.set_isa(best)
    return min(paths, key=lambda path: seconds[path] * (CLEARLY if path != best else 1.0))
