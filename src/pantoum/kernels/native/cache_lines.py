"""Memory at cache lines, which the core wants for panels and operands."""

from __future__ import annotations

import numpy as np

from pantoum.kernels.native.declaration import address
from pantoum.kernels.types import Array
from pantoum.kernels.workspace import Workspace

__all__ = ["aligned", "bytes_of"]

ALIGNMENT = 64


def aligned(size: int) -> Array:
    """Bytes that begin at a cache line."""
    block = np.empty(size + ALIGNMENT, np.uint8)
    start = -address(block) % ALIGNMENT
    return block[start : start + size]


def bytes_of(workspace: Workspace, name: str, size: int) -> int:
    """The address of so many bytes of a workspace, at a cache line."""
    where = address(workspace.array(name, (size + ALIGNMENT,), np.uint8))
    return where + -where % ALIGNMENT
