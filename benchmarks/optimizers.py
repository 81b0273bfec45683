"""What a whole training step with Muon costs beside one with AdamW: the same model, text and threads.

A step is forward, backward, the gradients' norm and the update of a 2 x 384 GRU over 65 symbols, embedding
128, 64 streams x 64 steps (4,096 tokens). The four contestants (two optimisers, two precisions) take turns, a
step each, so that whatever else the machine does hits them alike; the ratio is that of the least times. Where
PyTorch is installed, its ``torch.optim.Muon`` over the same blocks is timed, beside the update alone of ours.

    python benchmarks/optimizers.py [--json] [--seconds 20] [--threads 2] [--hidden-size 384] [--streams 64]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from measured import machine

from pantoum import kernels
from pantoum.kernels import native
from pantoum.kernels.reference.update import NEWTON_SCHULZ
from pantoum.network import LanguageModel
from pantoum.network.gradient import norm
from pantoum.network.program import Program
from pantoum.training.update.optimizer import make_optimizer

VOCABULARY, LAYERS, GATES, RATE, CLIP = 65, 2, 3, 1e-3, 1.0
MARK = 1.25


class Contestant:
    """A model and its optimiser; ``times`` are of whole steps, ``updates`` of the update alone."""

    def __init__(self, kind: str, precision: str, options: argparse.Namespace) -> None:
        H, B, T = options.hidden_size, options.streams, options.steps
        self.times, self.updates = list[float](), list[float]()
        self._model = LanguageModel(VOCABULARY, H // 3, "gru", H, LAYERS)
        self._optimizer = make_optimizer(kind, self._model, 0.01, precision=precision)
        self._workspace, self._kernels = kernels.Workspace(), kernels.backend(np.float32)
        self._precision, self._state = precision, self._model.initial_state(B)
        self._tokens_BT = np.random.default_rng(0).integers(0, VOCABULARY, (B, T + 1))

    def step(self) -> None:
        """One step, timed."""
        began = time.perf_counter()
        program = Program(self._model, precision=self._precision, purpose="train", workspace=self._workspace)
        result = program.gradients(self._tokens_BT[:, :-1], self._tokens_BT[:, 1:], self._state)
        self._state = result.state
        size = norm(self._kernels, result.gradients)
        ready = time.perf_counter()
        self._optimizer.step(result.gradients, RATE, min(1.0, CLIP / size))
        ended = time.perf_counter()
        self.times.append(ended - began)
        self.updates.append(ended - ready)


def torch_update(hidden: int, threads: int) -> Callable[[], float] | None:
    """One update of the same blocks by PyTorch's Muon; ``None`` without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    sizes = [(hidden, hidden // 3)] * GATES + [(hidden, hidden)] * (GATES * (2 * LAYERS - 1))
    blocks = [torch.nn.Parameter(torch.randn(size)) for size in sizes]
    for block in blocks:
        block.grad = torch.randn_like(block)
    a, b, c = NEWTON_SCHULZ[0]
    optimizer = torch.optim.Muon(blocks, lr=RATE, ns_coefficients=(a, b, c), ns_steps=len(NEWTON_SCHULZ))

    def update() -> float:
        began = time.perf_counter()
        optimizer.step()
        return time.perf_counter() - began

    return update


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--hidden-size", type=int, default=384)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--steps", type=int, default=64)
    options = parser.parse_args()
    if kernels.without_core() is None:
        native.core().set_threads(options.threads)
    contestants = {
        (precision, kind): Contestant(kind, precision, options)
        for precision in reversed(kernels.precisions())
        for kind in ("adamw", "muon")
    }
    for contestant in contestants.values():
        contestant.step()
        contestant.times.clear()
        contestant.updates.clear()
    end = time.perf_counter() + options.seconds
    while time.perf_counter() < end:
        for contestant in contestants.values():
            contestant.step()
    report: dict[str, Any] = {
        "machine": machine(),
        "threads": options.threads,
        "mark": MARK,
        "hidden_size": options.hidden_size,
        "tokens": options.streams * options.steps,
        "steps": {},
    }
    for (precision, kind), contestant in contestants.items():
        times = contestant.times
        report["steps"][f"{kind} {precision}"] = {
            "min": min(times),
            "median": statistics.median(times),
            "max": max(times),
            "count": len(times),
            "update": min(contestant.updates),
        }
    for precision in kernels.precisions():
        muon, adamw = (report["steps"][f"{kind} {precision}"] for kind in ("muon", "adamw"))
        report[f"ratio {precision}"] = muon["min"] / adamw["min"]
    peer = torch_update(options.hidden_size, options.threads)
    if peer is not None:
        report["torch.optim.Muon"] = min(peer() for _ in range(5))
    if options.json:
        return print(json.dumps(report))
    print(report["machine"])
    print(f"{options.threads} threads, 2 x {options.hidden_size} GRU, {report['tokens']} tokens")
    for name, row in report["steps"].items():
        print(
            f"  {name:16} step min {row['min'] * 1e3:6.1f} ms  median {row['median'] * 1e3:6.1f}  max "
            f"{row['max'] * 1e3:6.1f}  ({row['count']})  update alone {row['update'] * 1e3:5.1f}"
        )
    if peer is not None:
        print(f"  torch.optim.Muon, the same blocks: update alone {report['torch.optim.Muon'] * 1e3:.1f} ms")
    for precision in kernels.precisions():
        print(f"Muon's step / AdamW's, {precision}: {report[f'ratio {precision}']:.3f} (mark {MARK})")
    return None


if __name__ == "__main__":
    main()
