"""The shared library: found, loaded and called. Only this package knows ctypes.

Loading happens at the first need, never on import. A call fills the struct that the operation takes
(``declaration``); ctypes lets other Python threads run meanwhile. A status that is not zero becomes a
``CoreError``.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pantoum.config.launcher import default_threads
from pantoum.errors import CoreError, PantoumError, SettingError
from pantoum.kernels.native.declaration import Declaration
from pantoum.kernels.types import NOT_FINITE

OF_LOGITS = 4
"""The status PANTOUM_NOT_FINITE: the caller's logits, not the call, are wrong."""
NAMES = {"darwin": "libpantoum_core.dylib", "win32": "pantoum_core.dll"}
FILE = Path(__file__).with_name(NAMES.get(sys.platform, "libpantoum_core.so"))
HEADER = FILE.with_name("pantoum_core.h")

ALIKE = ("avx2", "avx512"), ("bf16", "amx")
"""Paths with the same precisions, the one that ought to be the fastest last."""
CLEARLY = 1.05
"""How many times as long the last one takes where another is chosen."""
ROWS, HIDDEN = 64, 256

_taking = threading.Lock()


class CellFacts(ctypes.Structure):
    """What the core says of a cell: ``pantoum_cell``."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        *((name, ctypes.c_int32) for name in ("gates", "sums", "memory", "biased")),
    )


class Library:
    """The loaded core."""

    def __init__(self, path: Path) -> None:
        self._handle = handle = ctypes.CDLL(str(path))
        self._declaration = Declaration(HEADER)
        if handle.pantoum_abi() != self._declaration.abi:
            raise CoreError(
                f"{path} has ABI {handle.pantoum_abi()}, its header {self._declaration.abi}; install again"
            )
        handle.pantoum_message.restype = handle.pantoum_isa.restype = ctypes.c_char_p
        handle.pantoum_cells.restype = ctypes.POINTER(CellFacts)
        long, integer = ctypes.c_int64, ctypes.c_int
        handle.pantoum_packed_bytes.restype = handle.pantoum_operand_bytes.restype = long
        handle.pantoum_packed_bytes.argtypes = [long, long, long, integer, integer]
        handle.pantoum_operand_bytes.argtypes = [long, long, integer]
        self._calls: dict[str, tuple[Callable[..., int], Callable[..., ctypes.Structure]]] = {}
        count = long(0)
        self._facts = facts = handle.pantoum_cells(ctypes.byref(count))
        self.cells = {facts[kind].name.decode(): kind for kind in range(count.value)}
        """The numbers of the cells that the core has; the reference runs the others."""

    def call(self, name: str, **fields: object) -> None:
        """Run an operation: the fields of its struct by name, arrays as they are."""
        function, fill = self._calls.get(name) or self.operation(name)
        status = function(fill(**fields))
        if status:
            self.refuse(name, status)

    def operation(self, name: str) -> tuple[Callable[..., int], Callable[..., ctypes.Structure]]:
        """An operation and the filler of its struct, for repeated calls that change few fields; a status that
        is not 0 is for ``refuse``."""
        if name not in self._calls:
            assert name in self._declaration.operations, name
            function = getattr(self._handle, f"pantoum_{name}")
            function.argtypes = [ctypes.POINTER(self._declaration.structs[name])]
            self._calls[name] = function, self._declaration.filler(name)
        return self._calls[name]

    def struct(self, name: str, **fields: object) -> ctypes.Structure:
        """A struct that others point to, with its fields. Its arrays must outlive it."""
        return self._declaration.filler(name)(**fields)

    def structs(self, name: str, filled: Sequence[ctypes.Structure]) -> ctypes.Array[ctypes.Structure]:
        """Several structs in a row."""
        return (self._declaration.structs[name] * len(filled))(*filled)

    def refuse(self, name: str, status: int) -> NoReturn:
        """The error that a status stands for."""
        if status == OF_LOGITS:
            raise PantoumError(NOT_FINITE)
        message = self._handle.pantoum_message(status).decode()
        raise CoreError(f"the core refused {name}: {message}; with PANTOUM_ISA=numpy it is not used")

    def packed_bytes(self, rows: int, depth: int, block: int, precision: int, transposed: bool) -> int:
        """How large a packed matrix is."""
        return int(self._handle.pantoum_packed_bytes(rows, depth, block, precision, transposed))

    def operand_bytes(self, rows: int, depth: int, precision: int) -> int:
        """How large the operands of a scan are."""
        return int(self._handle.pantoum_operand_bytes(rows, depth, precision))

    def facts(self, cell: str) -> tuple[int, int, bool, bool]:
        """What the core says of a cell: gates, those of the first product, whether there is a c, whether the
        last gate's product has a bias."""
        known = self._facts[self.cells[cell]]
        return known.gates, known.sums, bool(known.memory), bool(known.biased)

    @property
    def isa(self) -> str:
        """The path in use."""
        return str(self._handle.pantoum_isa().decode())

    @property
    def has_bf16(self) -> bool:
        """Whether the path in use has products of bf16."""
        return self.operand_bytes(1, 1, 1) > 0

    def set_isa(self, name: str) -> None:
        """Take another path; matrices packed for the old one are worthless then."""
        if self._handle.pantoum_set_isa(name.encode()):
            raise SettingError(
                "PANTOUM_ISA",
                name,
                "is not a code path that this machine and this build have",
                "leave it out, or take one of " + ", ".join(self.paths()),
            )

    def paths(self) -> tuple[str, ...]:
        """The paths that this machine and this build have."""
        known = ("generic", "avx2", "avx512", "bf16", "amx", "neon")
        return tuple(name for name in known if self._handle.pantoum_supports(name.encode()))

    @property
    def threads(self) -> int:
        """How many threads a call from this thread uses."""
        return int(self._handle.pantoum_threads())

    def set_threads(self, count: int) -> None:
        """0: as many as there are processors."""
        self._handle.pantoum_set_threads(count)

    def set_own_threads(self, count: int) -> None:
        """For calls from the calling thread alone; 0: as many as for all."""
        self._handle.pantoum_set_own_threads(count)


@cache
def core() -> Library:
    """The core, loaded once, set up from PANTOUM_ISA and PANTOUM_THREADS (or OMP_NUM_THREADS)."""
    reason = missing()
    if reason is not None:
        raise CoreError(f"{reason}; install pantoum with a C++ compiler, or set PANTOUM_ISA=numpy")
    loaded = Library(FILE)
    isa, threads = os.environ.get("PANTOUM_ISA", ""), os.environ.get("PANTOUM_THREADS", "")
    if isa:
        loaded.set_isa(isa)
    if threads:
        if not (threads.isascii() and threads.isdigit()):
            raise SettingError(
                "PANTOUM_THREADS", threads, "must be a whole number", "give a number of threads"
            )
        loaded.set_threads(int(threads))
    else:
        loaded.set_threads(default_threads())
    return loaded


def missing() -> str | None:
    """Why there is no core to load; None where there is one."""
    absent = _absent(FILE, HEADER)
    return (
        None
        if absent is None
        else f"the native core is not installed ({absent.name} is not beside {Path(__file__).name})"
    )


@cache
def _absent(*files: Path) -> Path | None:
    """The first of these that was not there when first asked for. One answer per process: an installation
    that goes or comes meanwhile must not change the arithmetic of a run."""
    return next((file for file in files if not file.exists()), None)


def take_fastest_path() -> None:
    """Set the core to it, if nobody has chosen a path. Other threads wait."""
    with _taking:
        _taken()


@cache
def _taken() -> None:
    if not os.environ.get("PANTOUM_ISA"):
        core().set_isa(fastest_path(core()))


def fastest_path(library: Library) -> str:
    """The fastest of the paths that can do what the present one can.

    They are AVX-512 and AVX2 in float32, whose results have the same bits, and the unit of AMX and the
    instructions of AVX-512 in bf16. A path that lacks a precision which another has is not looked at: what
    a run was trained in must stay possible. What was packed for a path is of no use for another, so the
    choice is made before anything is packed, once per process; ``PANTOUM_ISA`` overrules it.
    """
    best = library.isa
    alike = next((paths for paths in ALIKE if best in paths), (best,))
    paths = [path for path in alike if path in library.paths()]
    if len(paths) == 1:
        return best
    from pantoum.kernels import measured
    from pantoum.kernels.native.product import CoreMatrix

    random = np.random.default_rng(0)
    weight_GK = random.standard_normal((3 * HIDDEN, HIDDEN), np.float32)
    x_NK = random.standard_normal((ROWS, HIDDEN), np.float32)
    precision = "bf16" if library.has_bf16 else "float32"

    def product(path: str, packed: dict[str, Any]) -> object:
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
