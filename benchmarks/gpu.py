"""What a GPU gives to ``pantoum train --device cuda``: one command, one report.

    python benchmarks/gpu.py [--device auto] [--shape origin] [--seconds 10] [--no-compile] [--json]

Nothing is claimed for GPUs until this has run on one. It has not. Without a GPU it measures the processor,
and says so.

Tokens per second of whole steps (forward, backward, clipping, AdamW) of the training backend, of ``nn.GRU``
and ``nn.LSTM`` with the same sizes, and of these under ``torch.compile``, in float32 and bf16. Contestants
take turns in one process; a figure is the median over the turns, with the least and the most. Beside each
stand its share of the rate of ``nn.GRU`` or ``nn.LSTM`` (cuDNN's own, on a GPU), and of that of one large
matrix product in the same precision: six operations per weight and token. What a GPU gives in losses,
`pantoum train --minutes` says.

``--device cpu --shape tiny --seconds 1 --no-compile`` shows on any machine that all of it runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import contestants
import numpy as np
import torch
from measured import machine, parser
from training import SHAPES

from pantoum.apps.torch.torch_backend import TorchBackend
from pantoum.config import ModelConfig
from pantoum.data.batches import Batch
from pantoum.training.assembly import make_backend
from pantoum.training.recipe.recipe import Recipe

CELLS = ("gru", "lstm")
PRECISIONS = ("float32", "bf16")
KINDS = ("pantoum", "torch.nn", "torch.nn, compiled")
CLIP, RATE, TURNS = 1.0, 1e-3, 3
ALL_SHAPES = {**SHAPES, "tiny": {"V": 20, "B": 4, "T": 8, "H": 16, "L": 2}}
Step = Callable[[], Any]


def ours(shape: dict[str, int], cell: str, precision: str, device: str) -> Step:
    """A step of the training backend."""
    config = ModelConfig(cell, shape["H"], shape["L"], shape["H"])
    recipe = Recipe(
        model=config, batch_size=shape["B"], seq_len=shape["T"], optimizer="adamw", learning_rate=RATE,
        schedule="constant", warm_up=0.0, weight_decay=0.01, clip=CLIP, average=None, precision=precision,
        seed=0,
    )  # fmt: skip
    backend = TorchBackend(recipe, shape["V"], device)
    backend.restore(make_backend(recipe, shape["V"]).snapshot())
    tokens = np.random.default_rng(0).integers(0, shape["V"], (shape["B"], shape["T"] + 1))
    resets, streams = np.zeros((shape["B"], shape["T"]), bool), np.arange(shape["B"])
    batch = Batch(tokens[:, :-1], tokens[:, 1:], resets, 0)
    carried = {"state": backend.initial_state(shape["B"]), "step": 0}

    def step() -> None:
        found = backend.gradients(batch, carried["state"], carried["step"], streams)
        backend.update(RATE, CLIP)
        carried.update(state=found.state, step=carried["step"] + 1)

    return step


def rate(step: Step, tokens: int, seconds: float, device: str) -> float:
    """Tokens per second over so much time."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or not count:
        step()
        count += 1
    if device == "cuda":
        torch.cuda.synchronize()
    return count * tokens / (time.perf_counter() - began)


def matrix_rate(precision: str, device: str, seconds: float) -> float:
    """Floating-point operations per second of a large matrix product."""
    size, dtype = 4096 if device == "cuda" else 1024, {"bf16": torch.bfloat16}.get(precision, torch.float32)
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))

    def step() -> None:
        for _ in range(10 if device == "cuda" else 1):
            left @ right

    rate(step, 0, min(1.0, seconds), device)
    return rate(step, 2 * size**3 * (10 if device == "cuda" else 1), seconds, device)


def speed(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """All contestants, in turns."""
    shape, rows = ALL_SHAPES[asked.shape], list[dict[str, Any]]()
    products = {each: matrix_rate(each, asked.device, asked.seconds / TURNS) for each in PRECISIONS}
    tokens = shape["B"] * shape["T"]
    for cell, precision in itertools.product(CELLS, PRECISIONS):
        steps = {"pantoum": ours(shape, cell, precision, asked.device)}
        for kind in KINDS[1 : 2 if asked.no_compile else 3]:
            steps[kind] = contestants.torch(shape, cell, precision, asked.device, "compiled" in kind)
        for step in steps.values():
            rate(step, tokens, min(1.0, asked.seconds), asked.device)  # compiles and warms
        rates: dict[str, list[float]] = {kind: [] for kind in steps}
        for _ in range(TURNS):
            for kind, step in steps.items():
                rates[kind].append(rate(step, tokens, asked.seconds / TURNS, asked.device))
        medians = {kind: statistics.median(found) for kind, found in rates.items()}
        of_product = 1e9 * contestants.gigaflops(shape, cell) / tokens / products[precision]
        for kind, found in rates.items():
            row = {
                "contestant": kind,
                "cell": cell,
                "precision": precision,
                "tokens_per_second": medians[kind],
            }
            row |= {
                "least": min(found),
                "most": max(found),
                "of_torch_nn": medians[kind] / medians["torch.nn"],
            }
            rows.append({**row, "of_matrix_product": medians[kind] * of_product})
    return rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--device", default="auto", choices=("auto", "cuda", "cpu"))
    options.add_argument("--shape", default="origin", choices=ALL_SHAPES)
    options.add_argument("--seconds", type=float, default=10.0, help="of each contestant")
    options.add_argument("--no-compile", action="store_true", help="without torch.compile")
    asked = options.parse_args()
    if asked.device == "auto":
        asked.device = "cuda" if torch.cuda.is_available() else "cpu"
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU that PyTorch can use: nothing is measured, and nothing is claimed for GPUs")
    where = torch.cuda.get_device_name() if asked.device == "cuda" else "CPU: this says nothing of GPUs"
    report = {"machine": machine(), "torch": torch.__version__, "device": where, "shape": asked.shape}
    report["speed"] = speed(asked)
    if asked.json:
        return print(json.dumps(report))
    print(f"PyTorch {torch.__version__} on {where}, shape {asked.shape}\n{json.dumps(report['machine'])}")
    for row in report["speed"]:
        print(
            f"{row['contestant']:20} {row['cell']:5} {row['precision']:8} {row['tokens_per_second']:12,.0f} "
            f"tokens per second ({row['least']:,.0f} to {row['most']:,.0f}), {row['of_torch_nn']:.2f} of "
            f"torch.nn's rate, {row['of_matrix_product']:.3f} of a matrix product's"
        )
    return None


if __name__ == "__main__":
    main()
