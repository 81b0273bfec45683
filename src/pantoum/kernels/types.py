"""What the kernels take and give beside arrays and numbers.

Arrays are C-contiguous and time-major. ``Kernels`` is a module with the operations: ``reference``, which
states their equations and shapes, or ``native``, which has the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy.typing as npt

__all__ = [
    "Array",
    "Decider",
    "DropoutDraw",
    "Kernels",
    "PackedMatrix",
    "Packs",
    "RecurrentWeight",
    "RowCall",
    "State",
    "StepPart",
]

Array: TypeAlias = npt.NDArray[Any]
Kernels: TypeAlias = ModuleType
State: TypeAlias = Array | tuple[Array, Array]
"""The state of a cell: h [B,H], or (h, c)."""
Packs: TypeAlias = Literal["when asked", "as before", "for reading"]
"""When a matrix makes what its products need: when it is first asked for, at once what the matrix before in
its place had, or at once, for products alone."""
RowCall: TypeAlias = Callable[[int, int], None]
"""A step, or a draw, of the rows first .. first + count - 1 of a batch, called with (first, count); their
logits are the first ``count`` ones."""


class Decider(Protocol):
    """Gives the chance of each decision of a symbol when those before it are known."""

    def begin(self, given_NV: Array | None = None, /) -> int:
        """The chance, of 2^22, that the first decision of the next symbol is 1."""
        ...

    def decide(self, outcome: int, /) -> tuple[int, int]:
        """(that the next one is 1, -1) after the last one, or where there is none, (anything, the symbol)."""
        ...


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


class DropoutDraw(NamedTuple):
    """Which dropout masks: those of this seed and step, for streams of these global numbers."""

    seed: int
    step: int
    streams_B: Any
    """Whole numbers: an array, or a tensor where PyTorch draws."""
    variational: bool = False
    """Whether one mask serves all steps of a chunk."""


class StepPart(NamedTuple):
    """A part of a model as the step of a whole model takes it: packed matrices, biases, tables.

    A model is a list of them: for each member ``inputs`` and its ``layer``s, then ``head``, ``ngrams`` and
    ``counts`` if it has these. The arrays of a state belong to the parts that have one, in this order."""

    kind: str
    values: Mapping[str, Any]
