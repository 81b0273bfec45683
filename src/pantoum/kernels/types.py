"""What the kernels take and give beside arrays and numbers.

Arrays are C-contiguous and time-major. ``Kernels`` is a module with the operations: ``reference``, which
states their equations and shapes, or ``native``, which has the same functions.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Protocol, TypeAlias

import numpy.typing as npt

__all__ = ["Array", "Kernels", "PackedMatrix", "RecurrentWeight", "Sampler", "State"]

Array: TypeAlias = npt.NDArray[Any]
Kernels: TypeAlias = ModuleType
State: TypeAlias = Array | tuple[Array, Array]
"""The state of a cell: h [B,H], or (h, c)."""


class PackedMatrix(Protocol):
    """A weight [G,K] ready for many products. It does not follow a weight that changes: pack it again."""

    @property
    def precision(self) -> str:
        """``float32`` (the array's own), ``int8``, or what a backend has beside."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """(G, K)."""
        ...

    def product(self, x_NK: Array, out: Array | None = None) -> Array:
        """x W^T, [N,G]."""
        ...

    def product_transposed(self, d_NG: Array, out: Array | None = None) -> Array:
        """d W, [N,K]; a ``CoreError`` in int8."""
        ...


RecurrentWeight: TypeAlias = tuple[PackedMatrix, ...]
"""W_hh of a scan: a matrix for each product of a step."""


class Sampler(Protocol):
    """Draws for rows of a batch, from logits in one array."""

    def draw(self, first: int, count: int) -> None:
        """One token for each of the rows first .. first + count - 1, from the first ``count`` logits; the
        rows' counters move on."""
        ...
