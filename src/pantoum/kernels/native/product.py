"""Products over packed matrices: ``reference.product`` in the core.

A ``PackedMatrix`` makes panels of the weight in the core's own order, for ``product`` and for
``product_transposed``, when they are first asked for. With ``precision="bf16"`` the operands of its products
are rounded to bf16 and summed in float32; with ``"int8"`` they are codes, see ``quantize``.

Shapes: N rows, K inputs, G outputs.
"""

from __future__ import annotations

import threading

from pantoum.errors import CoreError, SettingError
from pantoum.kernels import interface
from pantoum.kernels.array import Array
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import bytes_of, given, result
from pantoum.kernels.workspace import Workspace

__all__ = ["PRECISIONS", "PackedMatrix", "bias_gradient", "linear", "linear_weight_gradient", "pack"]

PRECISIONS = {"float32": 0, "bf16": 1, "int8": 2}
NAMES = "panels", "transposed panels"
NO_GRADIENTS = "int8 has no gradients: it is for reading and writing; train in float32 or bf16"


class PackedMatrix:
    """A weight [G,K] in panels, which lie in a place that other matrices may use by turns. Threads may share
    it: one makes the panels, and the others wait."""

    def __init__(
        self,
        weight_GK: Array,
        precision: str,
        gates: int,
        place: Workspace | None,
        reading: bool,
        replaces: bool,
    ) -> None:
        self._weight_GK: Array | None = weight_GK
        self.precision, self.shape = precision, weight_GK.shape
        self._number = number_of(precision)
        if weight_GK.ndim != 2 or 0 in weight_GK.shape or gates < 1 or len(weight_GK) % gates:
            raise CoreError(
                f"weight has shape {weight_GK.shape} for {gates} gates: it needs rows and "
                "columns, as many rows for each gate"
            )
        self._source: int | None = given(weight_GK, "weight", weight_GK.shape)
        self.block = self.shape[0] // gates
        self._place = Workspace() if place is None else place
        self._mark = object()
        self._packing = threading.Lock()
        self._read_at: int | None = None
        if replaces:
            for name in tuple(self._whose):
                self.panels(name == NAMES[True])
        if reading:
            self._read_at = self.panels(False)
            self._weight_GK = self._source = None

    def panels(self, transposed: bool) -> int:
        """The address of the panels for one of the two products, made when first asked for."""
        if transposed and self.precision == "int8":
            raise CoreError(NO_GRADIENTS)
        if self._read_at is not None and not transposed:
            return self._read_at
        (G, K), name = self.shape, NAMES[transposed]
        size = core().packed_bytes(G, K, self.block, self._number, transposed)
        with self._packing:
            where = bytes_of(self._place, name, size)
            if self._whose.get(name) is not self._mark:
                if self._source is None:
                    raise CoreError(
                        "a matrix was packed for reading alone and its weight is gone: train or change a "
                        "copy of the model, copy.deepcopy(network)"
                    )
                core().call("pack", self._source, where, G, K, self.block, self._number, transposed)
                self._whose[name] = self._mark
        return where

    @property
    def _whose(self) -> dict[str, object]:
        """The panels that are in the place, and the marks of the matrices that they were made from."""
        return self._place.kept("whose", dict[str, object])

    @property
    def panel_bytes(self) -> int:
        """How many bytes ``product`` reads."""
        G, K = self.shape
        return core().packed_bytes(G, K, self.block, self._number, False)

    def product(self, x_NK: Array, out: Array | None = None) -> Array:
        """x W^T: [N,K] -> [N,G]."""
        return self._product(x_NK, None, out)

    def product_transposed(self, d_NG: Array, out: Array | None = None) -> Array:
        """d W: [N,G] -> [N,K]."""
        (G, K), N = self.shape, len(d_NG)
        y_NK, y = result(out, "out", (N, K))
        d = given(d_NG, "d_NG", (N, G))
        if N:
            core().call("product", d, self.panels(True), None, y, N, G, K, K, self._number)
        return y_NK

    def with_bias(self, x_NK: Array, bias_G: Array | None, out: Array | None) -> Array:
        """x W^T + b."""
        bias = None if bias_G is None else given(bias_G, "bias_G", (self.shape[0],))
        return self._product(x_NK, bias, out)

    def _product(self, x_NK: Array, bias: int | None, out: Array | None) -> Array:
        (G, K), N = self.shape, len(x_NK)
        y_NG, y = result(out, "out", (N, G))
        x = given(x_NK, "x_NK", (N, K))
        if N:
            core().call("product", x, self.panels(False), bias, y, N, K, G, self.block, self._number)
        return y_NG


def number_of(precision: str) -> int:
    """The core's number of a precision, if this machine has it."""
    if precision not in PRECISIONS:
        raise SettingError(
            "precision", precision, "must be one of " + ", ".join(PRECISIONS), "choose one of them"
        )
    if precision == "bf16" and core().isa != "bf16":
        rule = f"is not what the path {core().isa} of this machine can do"
        raise SettingError("precision", precision, rule, "use float32 or auto")
    return PRECISIONS[precision]


def pack(
    weight_GK: Array,
    precision: str = "float32",
    gates: int = 1,
    place: Workspace | None = None,
    reading: bool = False,
    replaces: bool = False,
) -> PackedMatrix:
    """A weight ready for many products, as ``interface.Kernels.pack`` says."""
    return PackedMatrix(weight_GK, precision, gates, place, reading, replaces)


def linear(
    x_NK: Array, weight: interface.PackedMatrix, bias_G: Array | None = None, out: Array | None = None
) -> Array:
    """x W^T + b."""
    assert isinstance(weight, PackedMatrix)
    return weight.with_bias(x_NK, bias_G, out)


def linear_weight_gradient(
    d_NG: Array, x_NK: Array, out: Array | None = None, precision: str = "float32", resume: bool = False
) -> Array:
    """d^T x: [G,K]; with ``resume`` added to what ``out`` holds."""
    (N, G), K = d_NG.shape, x_NK.shape[1]
    out_GK, where = result(out, "out", (G, K))
    core().call(
        "weight_gradient",
        given(d_NG, "d_NG", (N, G)),
        given(x_NK, "x_NK", (N, K)),
        where,
        N,
        G,
        K,
        number_of(precision),
        resume,
    )
    return out_GK


def bias_gradient(d_NG: Array, out: Array | None = None, resume: bool = False) -> Array:
    """The sum over rows [G]; with ``resume`` added to what ``out`` holds."""
    N, G = d_NG.shape
    out_G, where = result(out, "out", (G,))
    core().call("bias_gradient", given(d_NG, "d_NG", (N, G)), where, N, G, resume)
    return out_G
