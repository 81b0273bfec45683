"""Products over packed matrices: ``reference.product`` in the core.

A ``CoreMatrix`` makes panels of the weight in the core's own order, for ``product`` and for
``product_transposed``, when they are first asked for. With ``precision="bf16"`` the operands of its products
are rounded to bf16 and summed in float32; in int8 they are codes (``PackedCodes``).

Shapes: N rows, K inputs, G outputs.
"""

from __future__ import annotations

import threading

import numpy as np

from pantoum.errors import CoreError, SettingError
from pantoum.kernels import types
from pantoum.kernels.native.declaration import address
from pantoum.kernels.native.library import core
from pantoum.kernels.native.tables import checked_rows
from pantoum.kernels.reference.product import check_codes
from pantoum.kernels.types import Array, Workspace

__all__ = [
    "PRECISIONS",
    "CoreMatrix",
    "bias_gradient",
    "bytes_of",
    "linear",
    "linear_weight_gradient",
    "number_of",
    "pack",
    "pack_codes",
    "quantize",
]

PRECISIONS = {"float32": 0, "bf16": 1, "int8": 2}
NAMES = "panels", "transposed panels"
CACHE_LINE = 64
"""Bytes; the core wants panels and operands to begin at a line."""


def bytes_of(workspace: Workspace, name: str, size: int) -> int:
    """The address of so many bytes of a workspace, at a cache line."""
    where = address(workspace.array(name, (size + CACHE_LINE,), np.uint8))
    return where + -where % CACHE_LINE


class CoreMatrix:
    """A weight [G,K] in panels, which lie in a place that other matrices may use by turns. Threads may share
    it: one makes the panels, and the others wait."""

    def __init__(
        self,
        weight_GK: Array,
        precision: str,
        gates: int,
        place: Workspace | None = None,
        packs: types.Packs = "when asked",
        changed_U: Array | None = None,
        coded: CoreMatrix | None = None,
    ) -> None:
        self.precision, self.shape, self.coded = precision, weight_GK.shape, coded
        self._number = number_of(precision)
        if weight_GK.ndim != 2 or 0 in weight_GK.shape or gates < 1 or len(weight_GK) % gates:
            raise CoreError(
                f"weight has shape {weight_GK.shape} for {gates} gates: it needs rows and "
                "columns, as many rows for each gate"
            )
        self.block = self.shape[0] // gates
        self._weight_GK: Array | None = weight_GK
        self._place = Workspace() if place is None else place
        self._packing = threading.Lock()
        self._read_at: int | None = None
        # In a place: whose panels are there, by the marks of matrices, and the mark of the latest matrix.
        self._mark, self._whose = object(), self._place.kept("whose", dict[str, object])
        latest = self._place.kept("latest", dict[str, object])
        before, latest["mark"] = latest.get("mark"), self._mark
        if changed_U is not None and before is not None and self._whose.get(NAMES[False]) is before:
            self._pack(self._at(False), False, checked_rows(changed_U, len(weight_GK)))
        if packs == "as before":
            for name in tuple(self._whose):
                self.panels(name == NAMES[True])
        if packs == "for reading":
            self._read_at = self.panels(False)
            self._weight_GK = None

    def panels(self, transposed: bool) -> int:
        """The address of the panels for one of the two products, made when first asked for."""
        if self._read_at is not None and not transposed:
            return self._read_at
        if self._weight_GK is None:
            raise CoreError(
                "int8 has no gradients: it is for reading and writing; train in float32 or bf16"
                if self.precision == "int8"
                else "a matrix was packed for reading alone and its weight is gone: train or change a copy "
                "of the model, copy.deepcopy(network)"
            )
        with self._packing:
            where = self._at(transposed)
            if self._whose.get(NAMES[transposed]) is not self._mark:
                self._pack(where, transposed)
        return where

    def _at(self, transposed: bool) -> int:
        """The address of the panels."""
        size = core().packed_bytes(self.shape[0], self.shape[1], self.block, self._number, transposed)
        return bytes_of(self._place, NAMES[transposed], size)

    def _pack(self, where: int, transposed: bool, changed_U: Array | None = None) -> None:
        """Make the panels there; with ``changed_U`` of these rows alone."""
        core().call(
            "pack",
            weight=self._weight_GK,
            panels=where,
            block=self.block,
            precision=self._number,
            transposed=transposed,
            changed=changed_U,
        )
        self._whose[NAMES[transposed]] = self._mark

    def product(self, x_NK: Array, out: Array | None = None, bias_G: Array | None = None) -> Array:
        """x W^T, or x W^T + b: [N,K] -> [N,G]."""
        return self._product(x_NK, out, bias_G, False)

    def product_transposed(self, d_NG: Array, out: Array | None = None) -> Array:
        """d W: [N,G] -> [N,K]."""
        return self._product(d_NG, out, None, True)

    def _product(self, x: Array, out: Array | None, bias: Array | None, transposed: bool) -> Array:
        columns, depth = self.shape[::-1] if transposed else self.shape
        y: Array = np.empty((len(x), columns), np.float32) if out is None else out
        core().call(
            "product",
            x=x,
            panels=self.panels(transposed),
            bias=bias,
            y=y,
            depth=depth,
            columns=columns,
            block=columns if transposed else self.block,
            precision=self._number,
        )
        return y


class PackedCodes(CoreMatrix):
    """A matrix made of codes, which go once it is packed."""

    def __init__(self, codes_GK: Array, scales_G: Array, gates: int) -> None:
        self.precision, self.shape, self.block = "int8", codes_GK.shape, len(codes_GK) // gates
        self.coded = None
        self._number, self._place, self._weight_GK = PRECISIONS["int8"], Workspace(), None
        self._read_at = panels = self._at(False)
        core().call("pack_codes", codes=codes_GK, scales=scales_G, panels=panels, block=self.block)


def number_of(precision: str) -> int:
    """The core's number of a precision, if this machine has it."""
    if precision not in PRECISIONS:
        raise SettingError(
            "precision", precision, "must be one of " + ", ".join(PRECISIONS), "choose one of them"
        )
    if precision == "bf16" and not core().has_bf16:
        rule = f"is not what the path {core().isa} of this machine can do"
        raise SettingError("precision", precision, rule, "use float32 or auto")
    return PRECISIONS[precision]


def pack(
    weight_GK: Array,
    precision: str = "float32",
    gates: int = 1,
    place: Workspace | None = None,
    packs: types.Packs = "when asked",
    changed_U: Array | None = None,
    coded: bool = False,
) -> CoreMatrix:
    """A weight ready for many products."""
    if precision == "int8":
        return pack_codes(*quantize(weight_GK), gates)
    codes = pack_codes(*quantize(weight_GK), gates) if coded else None
    return CoreMatrix(weight_GK, precision, gates, place, packs, changed_U, codes)


def pack_codes(codes_GK: Array, scales_G: Array, gates: int = 1) -> CoreMatrix:
    """The matrix that ``pack(weight, "int8", gates)`` makes of a weight with these codes and scales."""
    check_codes(codes_GK, scales_G, gates)
    return PackedCodes(codes_GK, scales_G, gates)


def linear(
    x_NK: Array, weight: types.PackedMatrix, bias_G: Array | None = None, out: Array | None = None
) -> Array:
    """x W^T + b."""
    assert isinstance(weight, CoreMatrix)
    return weight.product(x_NK, out, bias_G)


def linear_weight_gradient(
    d_NG: Array, x_NK: Array, out: Array | None = None, precision: str = "float32", resume: bool = False
) -> Array:
    """d^T x: [G,K]; with ``resume`` added to what ``out`` holds."""
    out_GK: Array = np.empty((d_NG.shape[1], x_NK.shape[1]), np.float32) if out is None else out
    number = number_of(precision)
    core().call("weight_gradient", d=d_NG, x=x_NK, out=out_GK, precision=number, resume=resume)
    return out_GK


def bias_gradient(d_NG: Array, out: Array | None = None, resume: bool = False) -> Array:
    """The sum over rows [G]; with ``resume`` added to what ``out`` holds."""
    out_G: Array = np.empty(d_NG.shape[1], np.float32) if out is None else out
    core().call("bias_gradient", d=d_NG, out=out_G, resume=resume)
    return out_G


def quantize(weight_GK: Array) -> tuple[Array, Array]:
    """(codes [G,K] int8, scales [G] float32) of the rows."""
    codes_GK, scales_G = np.empty(weight_GK.shape, np.int8), np.empty(len(weight_GK), np.float32)
    core().call("quantize", weight=weight_GK, codes=codes_GK, scales=scales_G)
    return codes_GK, scales_G
