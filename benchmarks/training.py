"""Whole training steps of the native core against PyTorch, TensorFlow and JAX, on the same threads.

A step is forward, backward, clipping by norm and AdamW of a language model: embedding, a stack of cells, a
head. Peers: ``nn.GRU`` and ``nn.LSTM``, float32 and bf16 autocast, with fused AdamW; Keras' GRU on TensorFlow
and on JAX. Every contestant is a process of its own, the processes take turns, and the large matrix product
[3000,512] x [512,1536] of PyTorch is timed in the same run. Rates count the nominal products of a step. Run
it in an environment with the peers and pantoum:

    python benchmarks/training.py [--json] [--seconds 40] [--threads 2] [--shape origin] [--only gru,torch]
    python benchmarks/training.py --busy      a loop on one of the cores beside our steps
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHAPES = {"origin": {"B": 100, "T": 30, "H": 512, "L": 3, "V": 98},
          "small": {"B": 32, "T": 64, "H": 256, "L": 2, "V": 98}}
GATES = {"rnn": 1, "gru": 3, "gru-before": 3, "lstm": 4, "mingru": 2}
OURS = [(cell, precision) for cell in ("gru", "gru-before", "lstm") for precision in ("bf16", "float32")]
PEERS = [("torch", "gru", "float32"), ("torch", "gru", "bf16"), ("torch", "lstm", "float32"),
         ("torch", "lstm", "bf16"), ("tensorflow", "gru", "float32"), ("jax", "gru", "float32")]
CONTESTANTS = ["product:float32", "product:bf16", *(f"ours:{c}:{p}" for c, p in OURS),
               *(":".join(peer) for peer in PEERS)]
CLIP, RATE = 1.0, 1e-3
Step = Callable[[], Any]


def ours(shape: dict[str, int], cell: str, precision: str) -> Step:
    import numpy as np

    from pantoum import kernels
    from pantoum.network import LanguageModel
    from pantoum.training.optimizer import make_optimizer

    model = LanguageModel(shape["V"], shape["H"], cell, shape["H"], shape["L"])
    optimizer, workspace = make_optimizer("adamw", model.parameters, 0.01), kernels.Workspace()
    tokens = np.random.default_rng(0).integers(0, shape["V"], (shape["B"], shape["T"] + 1))
    backend, run = kernels.backend(np.float32), {"state": model.initial_state(shape["B"])}

    def step() -> float:
        result = model.gradients(tokens[:, :-1], tokens[:, 1:], run["state"], workspace=workspace,
                                 precision=precision)
        run["state"] = result.state
        norm = backend.global_norm(result.gradients.values())
        optimizer.step(result.gradients, RATE, min(1.0, CLIP / norm))
        return result.loss

    return step


def torch(shape: dict[str, int], cell: str, precision: str) -> Step:
    import torch
    from torch import nn

    torch.manual_seed(0)
    H, B = shape["H"], shape["B"]
    embedding, head = nn.Embedding(shape["V"], H), nn.Linear(H, shape["V"])
    layers = (nn.LSTM if cell == "lstm" else nn.GRU)(H, H, shape["L"], batch_first=True)
    parameters = [p for module in (embedding, layers, head) for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01, fused=True)
    tokens = torch.randint(shape["V"], (B, shape["T"] + 1))
    zeros = torch.zeros(shape["L"], B, H)
    run: dict[str, Any] = {"state": (zeros, zeros) if cell == "lstm" else zeros}

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            outputs, state = layers(embedding(tokens[:, :-1]), run["state"])
            logits = head(outputs).flatten(0, 1)
        run["state"] = tuple(s.detach() for s in state) if cell == "lstm" else state.detach()
        loss = nn.functional.cross_entropy(logits.float(), tokens[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        return float(loss.detach())

    return step


def keras(shape: dict[str, int], cell: str, precision: str) -> Step:
    import keras
    import numpy as np

    layers = [keras.layers.GRU(shape["H"], return_sequences=True) for _ in range(shape["L"])]
    model = keras.Sequential([keras.layers.Embedding(shape["V"], shape["H"]), *layers,
                              keras.layers.Dense(shape["V"])])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(RATE, weight_decay=0.01, global_clipnorm=CLIP), loss)
    tokens = np.random.default_rng(0).integers(0, shape["V"], (shape["B"], shape["T"] + 1))
    return lambda: model.train_on_batch(tokens[:, :-1], tokens[:, 1:])


def product(shape: dict[str, int], cell: str, precision: str) -> Step:
    import torch

    kind = torch.bfloat16 if cell == "bf16" else torch.float32
    a, b = torch.randn(3000, 512).to(kind), torch.randn(512, 1536).to(kind)
    out = torch.empty(3000, 1536, dtype=kind)
    return lambda: torch.mm(a, b, out=out)


MAKE = {"ours": ours, "torch": torch, "tensorflow": keras, "jax": keras, "product": product}


def serve(contestant: str, shape: dict[str, int]) -> None:
    """The child: for each line of stdin, that many seconds of steps; answers with their times."""
    kind, cell, precision = [*contestant.split(":"), ""][:3]
    step = MAKE[kind](shape, cell, precision)
    for _ in range(3):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        times, end = [], time.perf_counter() + float(line)
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        print(json.dumps(times), flush=True)


class Child:
    """One contestant's process."""

    def __init__(self, contestant: str, shape: dict[str, int], threads: int) -> None:
        source = str(Path(__file__).resolve().parent.parent / "src")
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PANTOUM_THREADS",
                 "TF_NUM_INTRAOP_THREADS")
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", contestant, "--size", json.dumps(shape)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **dict.fromkeys(names, str(threads)),
                 "KERAS_BACKEND": contestant.split(":")[0],
                 "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])})
        self.times: list[float] = []
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()).strip() != "ready":
            if not line:
                raise SystemExit(f"{contestant} did not start: is its framework installed?")

    def run(self, seconds: float) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(seconds, file=self.process.stdin, flush=True)
        self.times += json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def gigaflops(shape: dict[str, int], cell: str) -> float:
    """Multiplications and additions of a step's dense products, forward and backward."""
    H = shape["H"]
    return 6 * shape["B"] * shape["T"] * (2 * GATES[cell] * H * H * shape["L"] + H * shape["V"]) / 1e9


def measure(shape: dict[str, int], contestants: list[str], seconds: float, threads: int) -> dict[str, Any]:
    """All of them in turns, for about so many seconds in all."""
    children = {name: Child(name, shape, threads) for name in contestants}
    turns = 4
    for _ in range(turns):
        for child in children.values():
            child.run(seconds / turns / len(children))
            time.sleep(0.05)  # a peer's threads spin for a while after their last work
    found = {}
    for name, child in children.items():
        child.close()
        low, cell = min(child.times), name.split(":")[1]
        work = 2 * 3000 * 512 * 1536 / 1e9 if name.startswith("product") else gigaflops(shape, cell)
        found[name] = {"min": low, "median": statistics.median(child.times), "max": max(child.times),
                       "steps": len(child.times), "gflops": work / low}
    return found


def busy(shape: dict[str, int], threads: int) -> dict[str, Any]:
    """Our steps alone, then with a loop that never rests on one of the cores."""
    child = Child("ours:gru:bf16", shape, threads)
    child.run(5)
    alone, child.times = child.times, []
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(loop.pid, {0})
    child.run(10)
    loop.kill()
    loop.wait()
    child.close()
    return {"alone": statistics.median(alone), "busy": statistics.median(child.times),
            "slower": statistics.median(child.times) / statistics.median(alone)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=40, help="for each shape, all contestants together")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--only", help="contestants whose names contain one of these, with commas")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.size)
    words = options.only.split(",") if options.only else [""]
    contestants = [name for name in CONTESTANTS if any(word in name for word in words)]
    report: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count(),
                              "threads": options.threads, "python": platform.python_version(), "shapes": {}}
    for name in [options.shape] if options.shape else SHAPES:
        report["shapes"][name] = (busy(SHAPES[name], options.threads) if options.busy else
                                  measure(SHAPES[name], contestants, options.seconds, options.threads))
    if options.json:
        return print(json.dumps(report))
    print(", ".join(f"{key} {value}" for key, value in report.items() if key != "shapes"))
    for name, found in report["shapes"].items():
        print(f"\n{name}: " + " ".join(f"{k}={v}" for k, v in SHAPES[name].items()))
        for contestant, r in found.items():
            text = f"{r:.3f}" if options.busy else (
                f"min {r['min'] * 1e3:7.1f} ms  median {r['median'] * 1e3:7.1f}  "
                f"max {r['max'] * 1e3:7.1f}  ({r['steps']} steps)  {r['gflops']:5.0f} GFLOP/s")
            print(f"  {contestant:24} {text}")
    return None


if __name__ == "__main__":
    main()
