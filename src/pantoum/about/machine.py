"""What this machine gives: its processor and libraries, and three rates measured on the spot.

In order: what can be read without work; the rate of a large matrix product; the rate of real training
steps; the rate of writing one text. A few seconds in all. Rates are the best of several short tries,
because a machine that also does other things can only ever be slower than it is.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pantoum import kernels
from pantoum.config import VERSION
from pantoum.kernels import Workspace
from pantoum.network import LanguageModel
from pantoum.training.run_folder import machine as described

__all__ = ["Machine", "examine"]

THREADS = (
    "PANTOUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
SECONDS = 1.0
"""Time for each rate."""
SIDE = 1024
VOCABULARY, HIDDEN, LAYERS, BATCH, STEPS = 98, 256, 2, 32, 64
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
    product_gflops: float
    """A float32 matrix product of 1024 x 1024 x 1024."""
    training_tokens_per_second: float
    """2 x 256 GRU, 98 symbols, batches of 32 x 64: forward and backward."""
    writing_tokens_per_second: float
    """The same model writing one text."""
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The answer of ``doctor --json``."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __str__(self) -> str:
        rows = [
            ("pantoum", f"{self.pantoum}, Python {self.python}, NumPy {self.numpy}"),
            ("machine", f"{self.system}, {self.processor}, {self.cores} cores"),
            ("threads", self.threads or f"not set: as many as cores ({self.cores})"),
            ("BLAS", self.blas or "unknown"),
            ("arithmetic", self.isa + (", native core" if self.native_core else "")),
            ("product", f"{self.product_gflops:,.0f} GFLOP/s (float32, {SIDE} x {SIDE} x {SIDE})"),
            (
                "training",
                f"{self.training_tokens_per_second:,.0f} tokens/s "
                f"({LAYERS} x {HIDDEN} GRU, batches of {BATCH} x {STEPS})",
            ),
            ("writing", f"{self.writing_tokens_per_second:,.0f} tokens/s (one text)"),
        ]
        rows += [("advice", text) for text in self.advice]
        return "\n".join(f"{name:<12}{text}" for name, text in rows)


def examine(seconds: float = SECONDS) -> Machine:
    """Look at the machine, and measure for about three times ``seconds``."""
    facts = described()
    isa, native = arithmetic()
    cores = usable_cores()
    threads = ", ".join(f"{name}={os.environ[name]}" for name in THREADS if os.environ.get(name))
    product = _product_rate(seconds)
    model = LanguageModel(VOCABULARY, 64, "gru", HIDDEN, LAYERS)
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
        product_gflops=product,
        training_tokens_per_second=_training_rate(model, seconds),
        writing_tokens_per_second=_writing_rate(model, seconds),
        advice=tuple(advice(native, cores, product)),
    )


def arithmetic() -> tuple[str, bool]:
    """The path in use, and whether it is the native core."""
    if kernels.without_core() is not None:
        return "numpy", False
    return kernels.native.core().isa, True


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


def _best_time(work: Callable[[], Any], seconds: float) -> float:
    """The least time that ``work`` took, over tries that fill ``seconds``; at least two."""
    end, best, tries = time.perf_counter() + seconds, float("inf"), 0
    while tries < 2 or time.perf_counter() < end:
        began = time.perf_counter()
        work()
        best, tries = min(best, time.perf_counter() - began), tries + 1
    return best


def _product_rate(seconds: float) -> float:
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((SIDE, SIDE), np.float32) for _ in range(2))
    out = np.empty_like(a)
    return 2.0 * SIDE**3 / _best_time(lambda: np.matmul(a, b, out=out), seconds) / 1e9


def _training_rate(model: LanguageModel, seconds: float) -> float:
    tokens_BT = np.random.default_rng(0).integers(0, VOCABULARY, (BATCH, STEPS + 1))
    state, workspace = model.initial_state(BATCH), Workspace()
    inputs_BT, targets_BT = tokens_BT[:, :-1], tokens_BT[:, 1:]
    took = _best_time(lambda: model.gradients(inputs_BT, targets_BT, state, workspace=workspace), seconds)
    return BATCH * STEPS / took


def _writing_rate(model: LanguageModel, seconds: float) -> float:
    packed, state = model.pack(), model.initial_state(1)
    token_BT = np.zeros((1, 1), np.int64)

    def write() -> None:
        for _ in range(20):
            packed.last_logits(token_BT, state)

    return 20 / _best_time(write, seconds)
