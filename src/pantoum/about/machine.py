"""What this machine gives: its processor and libraries, and rates measured on the spot.

In order: what can be read without work; the rate of a large matrix product; the rate of real training steps
at two shapes, and what share of the product's it is; the rate of writing one text. A few seconds in all.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pantoum import kernels
from pantoum.about.rates import SHAPES, TrainingRate, product_rates, training_rate, writing_rate
from pantoum.config import VERSION
from pantoum.config.processors import THREAD_VARIABLES, usable_processors
from pantoum.training.run.run_folder import machine as described

__all__ = ["Machine", "examine"]

SECONDS = 0.6
"""Time for each rate."""
SLOW_PRODUCT = 30.0
"""GFLOP/s below which something is wrong: one core of the last ten years does more."""


@dataclass(frozen=True)
class Machine:
    """What was found. Rates are best of several."""

    pantoum: str
    python: str
    numpy: str
    system: str
    processor: str
    cores: int
    """Cores that this process may use."""
    threads: str
    """What was asked of BLAS and the core; empty: their own choice, all cores."""
    blas: str
    isa: str
    """The arithmetic in use: ``numpy``, or the native core's instruction set."""
    native_core: bool
    product_gflops: dict[str, float]
    """By precision: a product [3000,512] x [512,1536]."""
    training: tuple[TrainingRate, ...]
    """Whole steps at two shapes, in the fastest precision."""
    writing_tokens_per_second: float
    """A 3 x 512 GRU writing one text."""
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The answer of ``doctor --json``."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**plain, "training": [rate.to_dict() for rate in self.training]}

    def __str__(self) -> str:
        rows = [
            ("pantoum", f"{self.pantoum}, Python {self.python}, NumPy {self.numpy}"),
            ("machine", f"{self.system}, {self.processor}, {self.cores} cores"),
            ("threads", self.threads or f"not set: as many as cores ({self.cores})"),
            ("BLAS", self.blas or "unknown"),
            ("arithmetic", self.isa + (", native core" if self.native_core else "")),
            (
                "product",
                ", ".join(
                    f"{rate:,.0f} GFLOP/s in {precision}" for precision, rate in self.product_gflops.items()
                ),
            ),
            *(("training", str(rate)) for rate in self.training),
            ("writing", f"{self.writing_tokens_per_second:,.0f} tokens/s (3 x 512 GRU, one text)"),
        ]
        rows += [("advice", text) for text in self.advice]
        return "\n".join(f"{name:<12}{text}" for name, text in rows)


def examine(seconds: float = SECONDS, tell: Callable[[str], None] | None = None) -> Machine:
    """Look at the machine, and measure for about six times ``seconds``. ``tell`` hears what is measured."""
    tell = tell or (lambda _: None)
    facts = described()
    isa, native = arithmetic()
    cores = usable_processors()
    limits = (f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if os.environ.get(name))
    threads = ", ".join(limits)
    tell("measuring a large matrix product")
    products = product_rates(seconds)
    precision, fastest = list(products.items())[-1]
    training = []
    for shape in SHAPES:
        tell(f"measuring training steps: {shape}, {precision}")
        training.append(training_rate(shape, precision, fastest, seconds))
    tell("measuring how fast it writes")
    return Machine(
        pantoum=VERSION,
        python=platform.python_version(),
        numpy=np.__version__,
        system=f"{facts['system']} {platform.machine()}",
        processor=str(facts["processor"]),
        cores=cores,
        threads=threads,
        blas=str(facts["blas"]),
        isa=isa,
        native_core=native,
        product_gflops=products,
        training=tuple(training),
        writing_tokens_per_second=writing_rate(SHAPES[0], seconds),
        advice=tuple(advice(native, cores, products["float32"])),
    )


def arithmetic() -> tuple[str, bool]:
    """The path in use, and whether it is the native core."""
    if kernels.without_core() is not None:
        return "numpy", False
    return kernels.native.core().isa, True


def advice(native: bool, cores: int, product: float) -> list[str]:
    """What a person could do to train faster here."""
    found = []
    if not native:
        found.append(
            f"the native core is not in use ({kernels.without_core()}): NumPy does the arithmetic; "
            "it is faster with pantoum installed where there is a C++ compiler"
        )
    if product < SLOW_PRODUCT:
        found.append("matrix products are slow: is the machine busy, or NumPy built without a BLAS?")
    if cores == 1:
        found.append("one core only: allow --minutes twice what others would")
    return found
