"""The arithmetic of the models, behind one seam.

``backend(dtype)`` gives the module that does it; ``interface`` lists its functions. ``reference`` is NumPy:
the specification, the oracle of the tests, and what runs where there is nothing faster. Callers name no
backend.
"""

from __future__ import annotations

import numpy.typing as npt

from pantoum.kernels import reference
from pantoum.kernels.interface import Array, Kernels, PackedMatrix, State
from pantoum.kernels.workspace import Workspace

__all__ = ["Array", "Kernels", "PackedMatrix", "State", "Workspace", "backend"]


def backend(dtype: npt.DTypeLike) -> Kernels:
    """The kernels that work on arrays of this dtype."""
    return reference
