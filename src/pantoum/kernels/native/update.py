"""The update of weights, in training and while reading: ``reference.update`` in the core.

Arrays of any shape are taken as rows of columns, or flat. Muon takes the gates' blocks of many matrices in
one call, a block per thread; the costly ones come first, so that threads end together.

Shapes: R rows, U of them in use, C columns; H units, K inputs of a block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.native.declaration import address
from pantoum.kernels.native.library import core
from pantoum.kernels.native.product import number_of
from pantoum.kernels.native.tables import checked_rows
from pantoum.kernels.reference.update import NEWTON_SCHULZ, Coefficients, block_rate
from pantoum.kernels.types import Array

__all__ = ["adamw", "adapt", "average", "global_norm", "muon", "row_squares"]


def global_norm(gradients: Iterable[Array]) -> float:
    """The Euclidean norm of all of them together."""
    arrays = [_flat(array) for array in gradients]
    where, sizes = np.array([address(array) for array in arrays], np.uintp), [array.size for array in arrays]
    total = np.zeros(1, np.float64)
    core().call("sum_of_squares", arrays=where, sizes=np.array(sizes, np.int64), total=total)
    return math.sqrt(total[0])


def adamw(
    parameter: Array,
    gradient: Array,
    first: Array,
    second: Array,
    *,
    step: int,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    factor: float = 1.0,
    rows_U: Array | None = None,
) -> None:
    """One step of AdamW in place; the gradient counts times ``factor``. ``rows_U``: of these rows alone."""
    b1, b2 = betas
    _require_one_shape(parameter, first, second)
    _require_one_shape(parameter[:0], gradient[:0])
    core().call(
        "adamw",
        parameter=_rows(parameter),
        rows=None if rows_U is None else checked_rows(rows_U, len(parameter)),
        gradient=_rows(gradient),
        first=_rows(first),
        second=_rows(second),
        beta1=b1,
        share1=(1 - b1) * factor,
        beta2=b2,
        share2=(1 - b2) * factor * factor,
        root=1 / math.sqrt(1 - b2**step),
        epsilon=epsilon,
        rate=rate / (1 - b1**step),
        keep=1 - rate * weight_decay,
    )


def average(averaged: Array, parameter: Array, decay: float) -> None:
    """Move an exponential average: averaged = decay * averaged + (1 - decay) * parameter."""
    core().call("average", averaged=_flat(averaged), parameter=_flat(parameter), share=1 - decay)


def muon(
    parameters: Sequence[Array],
    gradients: Sequence[Array],
    momenta: Sequence[Array],
    gates: Sequence[int],
    *,
    rate: float,
    momentum: float = 0.95,
    weight_decay: float = 0.0,
    factor: float = 1.0,
    coefficients: Coefficients = NEWTON_SCHULZ,
    precision: str = "float32",
) -> None:
    """One step over matrices of so many ``gates`` each, in place; the gradients count times ``factor``."""
    blocks: list[tuple[int, int, int, int, int]] = []
    for parameter, gradient, m, count in zip(parameters, gradients, momenta, gates, strict=True):
        _require_one_shape(parameter, gradient, m)
        at = [address(_flat(array)) for array in (parameter, gradient, m)]
        H, K = parameter.shape[0] // count, parameter.shape[1]
        bytes_of_block = H * K * parameter.itemsize
        blocks += [(*(each + block * bytes_of_block for each in at), H, K) for block in range(count)]
    if not blocks:
        return
    blocks.sort(key=lambda block: -block[3] * block[4] * min(block[3:]))
    where = np.array([block[:3] for block in blocks], np.uintp).T.copy()
    core().call(
        "muon",
        parameters=where[0],
        gradients=where[1],
        momenta=where[2],
        sizes=np.array([block[3:] for block in blocks], np.int64),
        rates=np.array([block_rate(rate, H, K) for *_, H, K in blocks], np.float32),
        coefficients=np.array(coefficients, np.float32),
        beta=momentum,
        share=(1 - momentum) * factor,
        keep=1 - rate * weight_decay,
        precision=number_of(precision),
    )


def row_squares(gradient_RC: Array, squares_R: Array, keep: float, share: float) -> None:
    """Running squares of rows, in place: keep * squares + share * (each row's sum of squares)."""
    core().call("row_squares", gradient=gradient_RC, squares=squares_R, keep=keep, share=share)


def adapt(
    parameter_RC: Array,
    gradient_UC: Array,
    trained_RC: Array,
    speed_R: Array,
    back_R: Array,
    rows_U: Array | None = None,
) -> None:
    """One step, in place: parameter + back * (trained - parameter) - speed * gradient; ``rows_U``: of these
    rows alone."""
    core().call(
        "adapt",
        parameter=parameter_RC,
        rows=None if rows_U is None else checked_rows(rows_U, len(parameter_RC)),
        gradient=gradient_UC,
        trained=trained_RC,
        speed=speed_R,
        back=back_R,
    )


def _require_one_shape(*arrays: Array) -> None:
    if len({array.shape for array in arrays}) > 1:
        raise CoreError(f"{[array.shape for array in arrays]}: the core takes arrays of one shape")


def _rows(array: Array) -> Array:
    """An array as rows of columns: the same memory."""
    return array if array.ndim == 2 else _flat(array).reshape(len(array), -1 if array.size else 1)


def _flat(array: Array) -> Array:
    """An array as one row: the same memory."""
    if not array.flags.carray or array.dtype != np.float32:
        raise CoreError(
            f"{array.dtype} of shape {array.shape} with strides {array.strides}: the core takes float32 in C "
            "order; convert it with np.ascontiguousarray"
        )
    return array.reshape(-1)
