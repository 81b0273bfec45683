"""Where the time of a training step goes: by operation of the core, as share and as rate.

A step calls the core some dozens of times. The script times each call and groups the calls by operation and
by part of the model. For operations that multiply, the nominal products give a rate, to compare with that of
a large product in the same run ([3000,512] x [512,1536], the core's own). What a call takes beyond its
products at that rate is the cost of its gates, packing and waiting. The rest of the step is Python.

    products   input projections and their gradients: large products for a whole chunk
    scan       the loop over time: one product per step and the gates; backward with the weight's gradient
    head       logits, losses and their gradients
    look-up    rows of the table of input projections, and the gradient of the table
    packing    weights into panels, once per step
    optimiser  norm and AdamW

    python benchmarks/profile_step.py [--shape origin|small] [--cell gru] [--precision bf16] [--seconds 4]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from typing import Any

import numpy as np
from contestants import GATES, ours
from measured import machine
from training import SHAPES

from pantoum import kernels
from pantoum.kernels.native.library import Library

GROUPS = {
    "pack": "packing",
    "lookup": "look-up",
    "lookup_gradient": "look-up",
    "softmax": "head",
    "adamw": "optimiser",
    "sum_of_squares": "optimiser",
    "row_squares": "optimiser",
}


class Stopwatch:
    """Stands in for ``Library.call`` and keeps what each call took."""

    def __init__(self, shape: dict[str, int], gates: int) -> None:
        self.shape, self.gates = shape, gates
        self.took: dict[str, float] = defaultdict(float)
        self.work: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._call = Library.call

    def install(self) -> None:
        """From now on every call is timed."""
        call = self._call

        def timed(library: Library, name: str, **fields: Any) -> None:
            began = time.perf_counter()
            call(library, name, **fields)
            took = time.perf_counter() - began
            key, work = self._account(name, fields)
            self.took[key] += took
            self.work[key] += work
            self.calls[key] += 1

        Library.call = timed  # type: ignore[method-assign]

    def _account(self, name: str, fields: dict[str, Any]) -> tuple[str, float]:
        """The line that a call belongs to, and its GFLOP."""
        N, H, V = self.shape["B"] * self.shape["T"], self.shape["H"], self.shape["V"]
        if name == "product":
            (rows, depth), columns = fields["x"].shape, fields["y"].shape[1]
            where = "head" if V in (depth, columns) and rows != V else "products"
            back = depth == V if where == "head" else depth > columns
            kind = "back" if back else "forward"
            return f"{where}: {kind}", 2e-9 * rows * depth * columns
        if name == "weight_gradient":
            (rows, columns), depth = fields["d"].shape, fields["x"].shape[1]
            where = "head" if columns == V else "products"
            return f"{where}: weight gradient", 2e-9 * rows * columns * depth
        if name == "scan":
            return "scan: forward", 2e-9 * N * self.gates * H * H
        if name == "scan_vjp":
            return "scan: back", 4e-9 * N * self.gates * H * H
        if name == "bias_gradient":
            return ("head" if fields["d"].shape[1] == V else "products") + ": bias gradient", 0.0
        return f"{GROUPS.get(name, 'other')}: {name}", 0.0


def product_rate(precision: str, seconds: float) -> float:
    """GFLOP/s of the large product in the core."""
    backend = kernels.backend(np.float32)
    x_NK, weight_GK = (
        np.random.default_rng(0).standard_normal(shape, np.float32) for shape in ((3000, 512), (1536, 512))
    )
    packed, out, best = backend.pack(weight_GK, precision), np.empty((3000, 1536), np.float32), np.inf
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        packed.product(x_NK, out=out)
        best = min(best, time.perf_counter() - began)
    return float(2e-9 * 3000 * 512 * 1536 / best)


def main() -> None:
    """Steps with the stopwatch; the one of least time is shown."""
    parser = argparse.ArgumentParser(description="where a step's time goes")
    parser.add_argument("--shape", choices=SHAPES, default="origin")
    parser.add_argument("--cell", choices=GATES, default="gru")
    parser.add_argument("--precision", choices=("float32", "bf16"), default=kernels.precisions()[-1])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    shape = SHAPES[asked.shape]
    rate = product_rate(asked.precision, asked.seconds / 4)
    step = ours(shape, asked.cell, asked.precision)
    step()
    times: list[float] = []
    best: Stopwatch | None = None
    original = Library.call
    end = time.perf_counter() + asked.seconds
    while len(times) < 3 or time.perf_counter() < end:
        watch = Stopwatch(shape, GATES[asked.cell])
        watch.install()
        began = time.perf_counter()
        step()
        took = time.perf_counter() - began
        Library.call = original  # type: ignore[method-assign]
        if not times or took < min(times):
            best = watch
        times.append(took)
    assert best is not None
    whole = min(times)
    rows = []
    for name in sorted(best.took, key=lambda name: -best.took[name]):
        took, work = best.took[name], best.work[name]
        rows.append(
            {
                "what": name,
                "calls": best.calls[name],
                "ms": took * 1e3,
                "share": took / whole,
                "gflops": work / took if work else None,
                "of product": work / took / rate if work else None,
                "beyond its products, ms": (took - work / rate) * 1e3 if work else None,
            }
        )
    python = whole - sum(best.took.values())
    rows.append(
        {
            "what": "Python",
            "calls": 0,
            "ms": python * 1e3,
            "share": python / whole,
            "gflops": None,
            "of product": None,
            "beyond its products, ms": None,
        }
    )
    report = {
        "machine": machine(),
        "threads": kernels.native.core().threads,
        "shape": shape,
        "cell": asked.cell,
        "precision": asked.precision,
        "product gflops": rate,
        "step ms": {"min": whole * 1e3, "median": statistics.median(times) * 1e3, "max": max(times) * 1e3},
        "steps": len(times),
        "rows": rows,
    }
    if asked.json:
        print(json.dumps(report))
        return
    print(machine())
    print(
        f"{asked.cell}, {asked.precision}, {asked.shape} {shape}: {whole * 1e3:.1f} ms (least of "
        f"{len(times)}, median {statistics.median(times) * 1e3:.1f}); the core's large product "
        f"{rate:.0f} GFLOP/s"
    )
    print(f"{'':<28}{'calls':>6}{'ms':>8}{'share':>8}{'GFLOP/s':>9}{'of product':>12}{'beyond, ms':>12}")
    for row in rows:
        numbers = (
            ""
            if row["gflops"] is None
            else f"{row['gflops']:9.0f}{row['of product']:12.2f}{row['beyond its products, ms']:12.1f}"
        )
        print(f"{row['what']:<28}{row['calls']:>6}{row['ms']:8.2f}{row['share']:8.1%}{numbers}")


if __name__ == "__main__":
    main()
