"""Which precision of products is the fastest on this machine, measured: not every processor that has bf16 is
faster with it.

The products are those of the model that is likely to be chosen: many rows at once, as in the input
projections, and as many as there are streams, as in the scan. They are a part of them, on one thread, so that
they are over before a busy machine turns to something else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from pantoum import kernels
from pantoum.kernels.measured import least_times

MOST_ROWS, MOST_COLUMNS = 128, 768


@dataclass(frozen=True)
class Fastest:
    """The fastest precision, and the rates that say so."""

    precision: str
    gflops: dict[str, float]
    """By precision; empty where there is only one."""

    def reason(self) -> str | None:
        """A line for ``--plan``; ``None`` where there was nothing to choose."""
        if len(self.gflops) < 2:
            return None
        rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in self.gflops.items())
        return f"precision {self.precision}: the fastest products here (GFLOP/s of one thread: {rates})"


def fastest_precision(
    hidden_size: int, rows: int, streams: int, clock: Callable[[], float] = time.perf_counter
) -> Fastest:
    """The fastest of the precisions that this machine has, for layers of ``hidden_size`` units, ``rows``
    tokens per update and ``streams`` rows per time step."""
    known = kernels.precisions()
    if len(known) == 1:
        return Fastest(known[0], {})
    random, core = np.random.default_rng(0), kernels.native.core()
    columns = min(3 * hidden_size, MOST_COLUMNS)
    weight_GH = random.standard_normal((columns, hidden_size), np.float32)
    inputs = [
        random.standard_normal((count, hidden_size), np.float32) for count in (min(rows, MOST_ROWS), streams)
    ]
    ways: dict[str, Callable[[], object]] = {}
    for name in known:
        packed = kernels.backend(np.float32).pack(weight_GH, name)
        ways |= {f"{name} {len(x_NH)}": partial(packed.product, x_NH) for x_NH in inputs}
    core.set_own_threads(1)
    try:
        seconds = least_times(f"precision, {core.isa}, {hidden_size} units", ways, clock)
    finally:
        core.set_own_threads(0)
    # The time of as many rows in both ways, as a layer has them.
    a_row = {name: sum(seconds[f"{name} {len(x_NH)}"] / len(x_NH) for x_NH in inputs) for name in known}
    gflops = {name: float(f"{4e-9 * weight_GH.size / a_row[name]:.4g}") for name in known}
    return Fastest(max(known, key=gflops.__getitem__), gflops)
