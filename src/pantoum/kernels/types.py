"""What the kernels take and give beside arrays and numbers.

Arrays are C-contiguous and time-major. ``Kernels`` is a module with the operations: ``reference``, which
states their equations and shapes, or ``native``, which has the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy.typing as npt

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


# Counted n-grams as the kernels look them up: contexts of 1, 2, ... tokens and their continuations.
# ``network.mixers.counts`` makes them, from numbers that it checks, and says what the numbers mean.
# V symbols, M contexts of one length that occurred, C continuations of all of them.
SIZES = 8
"""Classes of contexts of one length, by how often they occurred: once, twice, up to 4, 8, 16, ... times."""


@dataclass(frozen=True, eq=False)
class ContextsOfLength:
    """The contexts of one length."""

    starts: Array
    """Where the continuations of each context begin [M + 1], int32."""
    tokens_C: Array
    """The last token of each continuation, uint32; within a context ascending."""
    shares_C: Array
    """The probability of each by this length alone, float32."""
    left_M: Array
    """What each context leaves to the shorter ones, float32."""
    sizes_M: Array
    """A class of how often each occurred, int8; -1: nothing followed."""


@dataclass(frozen=True, eq=False)
class CountTree:
    """Contexts of all lengths. A continuation is the context of the next length that has its number."""

    unigrams_V: Array
    """The probabilities after no context, float32."""
    lengths: tuple[ContextsOfLength, ...]
    """Contexts of 1, ..., K tokens; those of 1 are all symbols."""
    shortest: int
    """The class of contexts of which nothing occurred."""
