"""The arithmetic of the models, behind one interface: the functions of ``reference``.

``backend(dtype)`` gives the module that does it. ``reference`` is NumPy: the specification, the oracle of the
tests, and what runs where there is no native core. ``native`` is that core, float32 only. PANTOUM_ISA=numpy
takes the reference for everything; PANTOUM_REQUIRE_CORE=1 makes a missing core an error. Callers name no
backend.
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from pantoum.errors import CoreError
from pantoum.kernels import native, reference
from pantoum.kernels.types import (
    Array,
    DrawRows,
    DropoutDraw,
    Kernels,
    PackedMatrix,
    RowCodes,
    State,
    StepPart,
    Workspace,
)

__all__ = [
    "Array",
    "DrawRows",
    "DropoutDraw",
    "Kernels",
    "PackedMatrix",
    "RowCodes",
    "State",
    "StepPart",
    "Workspace",
    "backend",
    "precisions",
    "without_core",
]


def backend(dtype: npt.DTypeLike) -> Kernels:
    """The kernels that work on arrays of this dtype."""
    if np.dtype(dtype) != np.float32 or without_core() is not None:
        return reference
    native.take_fastest_path()
    return native


def precisions(dtype: npt.DTypeLike = np.float32) -> tuple[str, ...]:
    """What matrices of this dtype can be packed as on this machine. Which is the fastest is measured."""
    fast = backend(dtype) is not reference and native.core().has_bf16
    return ("float32", "bf16") if fast else ("float32",)


def without_core() -> str | None:
    """Why float32 is left to NumPy; None where the native core does it."""
    if os.environ.get("PANTOUM_ISA") == "numpy":
        return "PANTOUM_ISA is numpy"
    reason = native.missing()
    if reason is not None and os.environ.get("PANTOUM_REQUIRE_CORE") == "1":
        raise CoreError(f"{reason}, and PANTOUM_REQUIRE_CORE is 1; install pantoum with a C++ compiler")
    return reason
