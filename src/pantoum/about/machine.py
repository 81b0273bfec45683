"""What this machine gives: its processor and libraries, and rates measured on the spot.

In order: what can be read without work; the rate of a large matrix product; the rate of real training steps
at two shapes, and what share of the product's it is; the rate of writing one text. A few seconds in all.

A rate is that of the least time of several tries, because a machine that also does other things can only
ever be slower than it is. The share that training reaches is what a step's nominal products (those of a
framework that takes no short cut) would need at the product's rate, over what the step needs.

Shapes: B streams, T steps, H units (and embedding), L layers, V symbols.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pantoum import kernels
from pantoum.config import VERSION
from pantoum.config.processors import THREAD_VARIABLES, usable_processors
from pantoum.kernels import Workspace
from pantoum.network import LanguageModel
from pantoum.network.gradient import norm
from pantoum.network.program import Program
from pantoum.network.stepping import stepper
from pantoum.training.fastest import fastest_precision
from pantoum.training.run.run_folder import machine as described
from pantoum.training.update.optimizer import make_optimizer

SECONDS = 0.6
"""Time for each rate."""
WRITTEN = 20
"""Tokens that are written in a try."""
SLOW_PRODUCT = 30.0
"""GFLOP/s below which something is wrong: one core of the last ten years does more."""
PRODUCT = (3000, 512, 1536)
"""Rows, depth and columns of the product."""


@dataclass(frozen=True)
class Shape:
    """The shape of a GRU model and of its batches."""

    batch_size: int
    seq_len: int
    hidden_size: int
    num_layers: int
    vocab_size: int = 98

    def __str__(self) -> str:
        return f"{self.num_layers} x {self.hidden_size} GRU, batches of {self.batch_size} x {self.seq_len}"

    @property
    def operations(self) -> float:
        """Multiplications and additions of a step's products, forward and backward."""
        H = self.hidden_size
        return 6.0 * self.batch_size * self.seq_len * (6 * H * H * self.num_layers + H * self.vocab_size)

    @property
    def model(self) -> LanguageModel:
        """A new model of this shape."""
        return LanguageModel(self.vocab_size, self.hidden_size, "gru", self.hidden_size, self.num_layers)


SHAPES = (Shape(100, 30, 512, 3), Shape(32, 64, 256, 2))


@dataclass(frozen=True)
class TrainingRate:
    """What whole steps reach: forward, backward, clipping, AdamW."""

    shape: Shape
    precision: str
    tokens_per_second: float
    gflops: float
    share: float
    """The rate as a share of that of the product in the same precision."""

    def __str__(self) -> str:
        return (
            f"{self.tokens_per_second:,.0f} tokens/s, {self.gflops:,.0f} GFLOP/s, {self.share:.0%} of "
            f"the product's rate ({self.shape}, {self.precision})"
        )


@dataclass(frozen=True)
class Machine:
    """What this machine has and reaches. Rates are best of several."""

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
    fastest: str
    """The precision that ``--minutes`` trains in here, and why."""
    training: tuple[TrainingRate, ...]
    """Whole steps at two shapes, in the fastest precision."""
    writing_tokens_per_second: float
    """A 3 x 512 GRU writing one text."""
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The answer of ``doctor --json``."""
        return asdict(self)

    def __str__(self) -> str:
        rates = (f"{rate:,.0f} GFLOP/s in {precision}" for precision, rate in self.product_gflops.items())
        rows = [
            ("pantoum", f"{self.pantoum}, Python {self.python}, NumPy {self.numpy}"),
            ("machine", f"{self.system}, {self.processor}, {self.cores} cores"),
            ("threads", self.threads or f"not set: as many as cores ({self.cores})"),
            ("BLAS", self.blas or "unknown"),
            ("arithmetic", self.isa + (", native core" if self.native_core else "")),
            ("product", ", ".join(rates)),
            ("--minutes", self.fastest),
            *(("training", str(rate)) for rate in self.training),
            ("writing", f"{self.writing_tokens_per_second:,.0f} tokens/s (3 x 512 GRU, one text)"),
            *(("advice", text) for text in self.advice),
        ]
        return "\n".join(f"{name:<12}{text}" for name, text in rows)


def examine(seconds: float = SECONDS, tell: Callable[[str], None] | None = None) -> Machine:
    """Look at the machine, and measure for about six times ``seconds``. ``tell`` hears what is measured."""
    tell = tell or (lambda _: None)
    facts, (isa, native), cores = described(), arithmetic(), usable_processors()
    tell("measuring a large matrix product")
    products = product_rates(seconds)
    tell("measuring which precision is the fastest")
    shape = SHAPES[0]
    chosen = fastest_precision(shape.hidden_size, shape.batch_size * shape.seq_len, shape.batch_size)
    precision = chosen.precision
    training = []
    for shape in SHAPES:
        tell(f"measuring training steps: {shape}, {precision}")
        training.append(training_rate(shape, precision, products[precision], seconds))
    tell("measuring how fast it writes")
    return Machine(
        pantoum=VERSION,
        python=platform.python_version(),
        numpy=np.__version__,
        system=f"{facts['system']} {platform.machine()}",
        processor=str(facts["processor"]),
        cores=cores,
        threads=", ".join(f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if os.environ.get(name)),
        blas=str(facts["blas"]),
        isa=isa,
        native_core=native,
        product_gflops=products,
        fastest=chosen.reason() or f"precision {precision}: the only one here",
        training=tuple(training),
        writing_tokens_per_second=writing_rate(SHAPES[0], seconds),
        advice=tuple(advice(native, cores, products["float32"])),
    )


def arithmetic() -> tuple[str, bool]:
    """The path in use, and whether it is the native core."""
    if kernels.without_core() is not None:
        return "numpy", False
    kernels.backend(np.float32)  # takes the fastest path
    return kernels.native.core().isa, True


def advice(native: bool, cores: int, product: float) -> list[str]:
    """What a person could do to train faster here."""
    lines = {
        f"the native core is not in use ({kernels.without_core()}): NumPy computes instead, more slowly; "
        "install pantoum with a C++ compiler": not native,
        "matrix products are slow: is the machine busy, or NumPy built without a BLAS?": product
        < SLOW_PRODUCT,
        "one core only: give --minutes twice the usual value": cores == 1,
    }
    return [line for line, fits in lines.items() if fits]


def product_rates(seconds: float) -> dict[str, float]:
    """GFLOP/s of a large product by precision: the better of the kernels' and, in float32, NumPy's BLAS."""
    N, K, G = PRODUCT
    random, backend, rates = np.random.default_rng(0), kernels.backend(np.float32), {}
    x_NK = random.standard_normal((N, K), np.float32)
    weight_GK = random.standard_normal((G, K), np.float32)
    right_KG, out_NG = np.ascontiguousarray(weight_GK.T), np.empty((N, G), np.float32)
    for precision in kernels.precisions():
        packed = backend.pack(weight_GK, precision)
        best = least_time(lambda p=packed: p.product(x_NK, out=out_NG), seconds)  # type: ignore[misc]
        if precision == "float32":
            best = min(best, least_time(lambda: np.matmul(x_NK, right_KG, out=out_NG), seconds))
        rates[precision] = 2.0 * N * K * G / best / 1e9
    return rates


def training_rate(shape: Shape, precision: str, product: float, seconds: float) -> TrainingRate:
    """Whole steps of a GRU; ``product``: the rate to hold them against."""
    model, workspace = shape.model, Workspace()
    optimizer = make_optimizer("adamw", model, 0.01)
    backend, B, T = kernels.backend(np.float32), shape.batch_size, shape.seq_len
    tokens_BT = np.random.default_rng(0).integers(0, shape.vocab_size, (B, T + 1))
    state = model.initial_state(B)

    def step() -> None:
        program = Program(model, precision=precision, purpose="train", workspace=workspace)
        found = program.gradients(tokens_BT[:, :-1], tokens_BT[:, 1:], state).gradients
        optimizer.step(found, 1e-3, min(1.0, 1.0 / norm(backend, found)))

    step()  # makes its arrays
    took = least_time(step, seconds)
    gflops = shape.operations / took / 1e9
    return TrainingRate(shape, precision, B * T / took, gflops, gflops / product)


def writing_rate(shape: Shape, seconds: float) -> float:
    """Tokens per second of one text, read as in generation; the draw adds a small part."""
    model = shape.model
    state, logits_CV = model.initial_state(1), np.empty((1, shape.vocab_size), np.float32)
    reader = stepper(Program(model), np.zeros(1, np.int32), state, logits_CV)

    def write() -> None:
        for _ in range(WRITTEN):
            reader(0, 1)

    return WRITTEN / least_time(write, seconds)


def least_time(work: Callable[[], object], seconds: float) -> float:
    """The least time that ``work`` took, over tries that fill ``seconds``; at least two."""
    end, best, tries = time.perf_counter() + seconds, float("inf"), 0
    while tries < 2 or time.perf_counter() < end:
        began = time.perf_counter()
        work()
        best, tries = min(best, time.perf_counter() - began), tries + 1
    return best
