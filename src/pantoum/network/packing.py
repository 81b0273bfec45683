"""How a program packs the matrices of its weights: in which precision, for what, and where.

For training (``"train"``) a matrix is packed when a product first asks for it; the matrices of one name take
turns in one place of the workspace, so that the packed form of one layer is there at a time, however many
layers there are. Where a program makes several backward passes (shards), each matrix has a place of its own
instead, and is packed once: at once, if the program before it in this workspace used the same products. These
passes may run at the same time. For reading (``"read"``) each matrix has a place of its own, too, is packed
at once, and the weight itself is not held any longer: only ``product`` can be asked of it.

A file in int8 holds a weight as ``Codes``; the kernels take the codes as they are, so that no float32 copy
is ever made (``kernels.reference.product`` says what a code means). Those of a float32 weight are packed as
the numbers that they stand for.

Shapes: G rows, K columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from pantoum.kernels import Array, Kernels, PackedMatrix, RowCodes, Workspace

Purpose: TypeAlias = Literal["train", "read"]


@dataclass(frozen=True)
class Codes:
    """A quantised weight: codes of eight bits, and one scale for each row."""

    codes_GK: Array
    scales_G: Array
    stored: bool = False
    """Whether it is a float32 weight that a file holds so. Its numbers are made where they are needed, one
    weight after the other: all of them at once would take four times the file."""

    def __getitem__(self, rows: slice) -> Codes:
        return Codes(self.codes_GK[rows], self.scales_G[rows], self.stored)

    @property
    def shape(self) -> tuple[int, ...]:
        """(G, K)."""
        return self.codes_GK.shape

    def floats(self) -> Array:
        """The weight that the codes stand for, float32."""
        weight_GK: Array = self.codes_GK * self.scales_G[:, None]
        return np.ascontiguousarray(weight_GK, np.float32)


Weight: TypeAlias = Array | Codes | RowCodes
"""A parameter as a program takes it."""


def floats(weight: Weight) -> Array:
    """The parameter as numbers."""
    return weight if isinstance(weight, np.ndarray) else weight.floats()


def looked_up(weight: Weight) -> Array | RowCodes:
    """A parameter of which rows are looked up, as codes where a file has these."""
    return RowCodes.whole(weight.codes_GK, weight.scales_G) if isinstance(weight, Codes) else weight


class Packer:
    """Packs the matrices of one program."""

    def __init__(
        self,
        kernels: Kernels,
        precision: str = "float32",
        purpose: Purpose = "train",
        workspace: Workspace | None = None,
        by_turns: bool = True,
        coded: bool = False,
    ) -> None:
        """``by_turns``: for training, matrices of one name share a place; ``coded``: for training, scans
        shall multiply with codes."""
        self.kernels, self.precision, self.purpose, self.coded = kernels, precision, purpose, coded
        self._by_turns = by_turns and purpose == "train"
        self._workspace = Workspace() if workspace is None else workspace

    def part(self, name: str) -> Packer:
        """For a layer or another part, whose matrices have places of their own unless they take turns."""
        if self._by_turns:
            return self
        own = self._workspace.scope(name), self._by_turns, self.coded
        return Packer(self.kernels, self.precision, self.purpose, *own)

    def matrix(
        self,
        name: str,
        weight: Weight,
        gates: int = 1,
        changed_U: Array | None = None,
        coded: bool = False,
    ) -> PackedMatrix:
        """A weight ready for many products; ``gates``: how many blocks of rows a scan takes at once;
        ``changed_U``: the rows in which it differs from the one before in its place; ``coded``: a scan
        multiplies with its codes (``Kernels.pack``)."""
        if isinstance(weight, RowCodes) or (isinstance(weight, Codes) and weight.stored):
            weight = weight.floats()
        if isinstance(weight, Codes):
            packed: PackedMatrix = self.kernels.pack_codes(weight.codes_GK, weight.scales_G, gates)
            return packed
        place, packs = self._workspace.scope(name), "when asked" if self._by_turns else "as before"
        packs = "for reading" if self.purpose == "read" else packs
        packed = self.kernels.pack(weight, self.precision, gates, place, packs, changed_U, coded)
        return packed
