"""How fast this machine reads packed matrices: the limit of products of one row.

A loop that only adds up all words of the panels, built here by the C++ compiler for the ISA of the core, with
the threads of the core, which meet after each matrix as they do between the layers of a step.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pantoum.kernels import native
from pantoum.kernels.native.product import PRECISIONS, CoreMatrix

__all__ = ["Reader"]

ROOT = Path(__file__).resolve().parent.parent


class Reader:
    """Reads the panels of matrices again and again."""

    def __init__(self, matrices: Sequence[CoreMatrix]) -> None:
        self._matrices, count = matrices, len(matrices)
        """Whose memory is read."""
        self.bytes = sum(map(panel_bytes, matrices))
        """How many bytes one round reads."""
        self._arrays = (ctypes.c_void_p * count)(*(matrix.panels(False) for matrix in matrices))
        self._words = (ctypes.c_int64 * count)(*(panel_bytes(matrix) // 4 for matrix in matrices))
        self._run = _built().read_words
        self._run.restype = ctypes.c_uint32
        self._run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int]

    def read(self, rounds: int) -> int:
        """The sum of all words, so many times over, modulo 2^32."""
        threads = native.core().threads
        return int(self._run(self._arrays, self._words, len(self._matrices), rounds, threads))


def panel_bytes(matrix: CoreMatrix) -> int:
    """How many bytes a product with a matrix reads."""
    G, K = matrix.shape
    return native.core().packed_bytes(G, K, matrix.block, PRECISIONS[matrix.precision], False)


def _built() -> ctypes.CDLL:
    """The loop, compiled."""
    core, isa = ROOT / "core", native.core().isa
    places = [f"-I{core / part}" for part in (f"arch/{isa}", "kernels", ".")]
    flags = ["-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", "-pthread", f"-DPANTOUM_ISA={isa}"]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "read_words.so")
        parts = ("threads.cpp", "matrix_unit.cpp", "scratch.cpp", "system_posix.cpp")
        sources = [ROOT / "benchmarks/read_words.cpp", *(core / part for part in parts)]
        compiler = os.environ.get("CXX", "c++")
        subprocess.run([compiler, *flags, *places, *sources, "-o", library], check=True)
        return ctypes.CDLL(str(library))
