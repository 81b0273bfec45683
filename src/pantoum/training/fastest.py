"""Which precision of products is the fastest on this machine, measured: not every processor that has bf16 is
faster with it.

The products are those of the model that is likely to be chosen: many rows at once, as in the input
projections, and as many as there are streams, as in the scan. The precisions take turns and the least times
count, so that a machine that is busy meanwhile does not choose wrongly. What was measured is kept per machine
in the user's cache folder, so that a second run does not measure again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pantoum import kernels
from pantoum.config import VERSION
from pantoum.errors import StorageError
from pantoum.formats import durable
from pantoum.training.run.run_folder import machine

ROUNDS = 12
MOST_ROWS = 512
MOST_BYTES = 1 << 20
"""Bytes of the cache file: a larger one is not ours."""


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
        return f"precision {self.precision}: the fastest products here (GFLOP/s: {rates})"


def cache_file() -> Path:
    """Where measurements are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pantoum" / "fastest.json"


def fastest_precision(
    hidden_size: int, rows: int, streams: int, clock: Callable[[], float] = time.perf_counter
) -> Fastest:
    """The fastest of the precisions that this machine has, for layers of ``hidden_size`` units, ``rows``
    tokens per update and ``streams`` rows per time step."""
    known = kernels.precisions()
    if len(known) == 1:
        return Fastest(known[0], {})
    rows = min(rows, MOST_ROWS)
    key = _key(hidden_size, rows, streams)
    kept = _read()
    rates = kept.get(key)
    if rates is None or set(rates) != set(known):
        rates = _measured(known, hidden_size, rows, streams, clock)
        _write({**kept, key: rates})
    return Fastest(max(known, key=rates.__getitem__), rates)


def _key(*sizes: int) -> str:
    facts = machine()
    core = kernels.native.core()
    parts = (facts["processor"], facts["architecture"], VERSION, core.isa, core.threads, *sizes)
    return "|".join(map(str, parts))


def _measured(
    precisions: tuple[str, ...], hidden_size: int, rows: int, streams: int, clock: Callable[[], float]
) -> dict[str, float]:
    """GFLOP/s by precision."""
    random, backend = np.random.default_rng(0), kernels.backend(np.float32)
    weight_GH = random.standard_normal((3 * hidden_size, hidden_size), np.float32)
    inputs = [random.standard_normal((count, hidden_size), np.float32) for count in (rows, streams)]
    packed = {name: backend.pack(weight_GH, name) for name in precisions}
    least: dict[tuple[str, int], float] = {}
    for _ in range(ROUNDS):
        for name, weight in packed.items():
            for place, x_NH in enumerate(inputs):
                began = clock()
                weight.product(x_NH)
                took = clock() - began
                least[name, place] = min(took, least.get((name, place), took))
    operations = [2.0 * x_NH.shape[0] * weight_GH.size for x_NH in inputs]
    # The time of as many rows in both ways, as a layer has them.
    seconds = {name: sum(least[name, p] / operations[p] for p in range(2)) for name in precisions}
    return {name: float(f"{2e-9 / max(seconds[name], 1e-30):.4g}") for name in precisions}


def _read() -> dict[str, dict[str, float]]:
    """What was measured before; whatever is no such file is nothing."""
    try:
        with cache_file().open("rb") as file:
            found = json.loads(file.read(MOST_BYTES))
        return {
            str(key): {str(name): float(rate) for name, rate in rates.items()} for key, rates in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, RuntimeError):
        return {}


def _write(rates: dict[str, dict[str, float]]) -> None:
    """Keep it; a cache that cannot be written is measured again."""
    with suppress(OSError, StorageError, RuntimeError):
        cache_file().parent.mkdir(parents=True, exist_ok=True)
        durable.write_file(cache_file(), json.dumps(rates, indent=1).encode())
