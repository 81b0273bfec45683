"""Muon over the gates' blocks of many matrices in one call: ``reference.muon`` in the core.

The core takes a block at a time, a thread each; the costly ones come first, so that threads end together.

Shapes: G gate rows, H units, K inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pantoum.kernels.array import Array
from pantoum.kernels.native.library import core
from pantoum.kernels.native.memory import address, floats, given
from pantoum.kernels.native.product import number_of
from pantoum.kernels.reference.muon import NEWTON_SCHULZ, Coefficients, block_rate

__all__ = ["muon"]

FLOAT_BYTES = 4


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
        shape = parameter.shape
        at = (
            floats(parameter, "parameter", shape),
            given(gradient, "gradient", shape),
            floats(m, "momentum", shape),
        )
        H, K = shape[0] // count, shape[1]
        blocks += [(*(each + block * H * K * FLOAT_BYTES for each in at), H, K) for block in range(count)]
    if not blocks:
        return
    blocks.sort(key=lambda block: -block[3] * block[4] * min(block[3:]))
    where = np.array([block[:3] for block in blocks], np.uintp).T.copy()
    sizes = np.array([block[3:] for block in blocks], np.int64)
    rates = np.array([block_rate(rate, H, K) for *_, H, K in blocks], np.float32)
    abc = np.array(coefficients, np.float32)
    core().call(
        "muon",
        address(where[0]),
        address(where[1]),
        address(where[2]),
        address(sizes),
        address(rates),
        address(abc),
        len(blocks),
        len(abc),
        momentum,
        (1 - momentum) * factor,
        1 - rate * weight_decay,
        number_of(precision),
    )
