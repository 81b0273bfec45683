"""What a single step through a whole model needs to know of it: matrices ready for products, biases, tables.

``network.stepper`` describes a program so; a backend that has a stepper reads the description once and keeps
what it needs of it.

Shapes: V symbols, E embedding, H units, G gate rows, W rows of the table of logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pantoum.config import CellSpec
from pantoum.kernels.count_tree import CountTree
from pantoum.kernels.row_codes import RowCodes
from pantoum.kernels.types import Array

__all__ = ["StepCounts", "StepLayer", "StepMember", "StepModel", "StepTable"]


@dataclass(frozen=True)
class StepLayer:
    """One layer."""

    weight_ih: Any
    """A packed matrix of blocks of H rows; None: the input projections come from the member's table."""
    weight_hh: tuple[Any, ...]
    """A packed matrix for each product of a step."""
    input_bias_G: Array
    scan_bias_H: Array | None
    norm: tuple[Array, Array] | None
    """Weight and bias of the normalisation of its outputs."""
    residual: bool
    """Whether its inputs are added to its outputs."""


@dataclass(frozen=True)
class StepMember:
    """One member; all members of a model have one shape."""

    layers: tuple[StepLayer, ...]
    table_VG: Array | None
    """The first layer's input projection of each symbol, or None: its inputs are rows of the embedding."""
    embedding_VE: Array | None


@dataclass(frozen=True)
class StepTable:
    """Rows of logits, found by the hashes of the last tokens; its state follows those of the layers."""

    table_WV: Array | RowCodes
    """The table of each order after the one before."""
    orders: tuple[int, ...]
    rows: int
    """The number of rows of each order's table."""


@dataclass(frozen=True)
class StepCounts:
    """Counted n-grams mixed with the network (``network.count_mixture``), whose state is the last array."""

    tree: CountTree
    weights_C: Array
    """The weight of the network for each class of contexts."""


@dataclass(frozen=True)
class StepModel:
    """The whole model."""

    cell: CellSpec
    units: int
    """The units of one member, H."""
    members: tuple[StepMember, ...]
    head: Any
    """Over the concatenated outputs of all members."""
    head_bias_V: Array
    projection: Any
    table: StepTable | None = None
    counts: StepCounts | None = None
