"""A whole training step in NumPy against the same step with PyTorch's fused GRU, on the same threads.

One step is forward, backward, clipping by norm and AdamW, of a language model over V symbols: embedding, a
stack of GRUs, a head. The peer is ``nn.Embedding`` + ``nn.GRU`` + ``nn.Linear`` + ``cross_entropy`` +
``clip_grad_norm_`` + fused ``AdamW``, float32. Each runs in a process of its own, so that the two thread
pools do not meet, and the two take turns, so that a change of the machine's clock falls on both. The peer
needs PyTorch:

    python benchmarks/numpy_step.py [--json] [--seconds 12] [--threads 2] [--no-peer]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from functools import partial
from importlib.metadata import version

from measured import machine
from processes import Child, Work, serve, start, take_turns

SHAPES = {
    "origin": {"B": 100, "T": 30, "E": 512, "H": 512, "L": 3, "V": 98, "mark": 0.9},
    "small": {"B": 32, "T": 64, "E": 256, "H": 256, "L": 2, "V": 98, "mark": 1.0},
    "minutes": {"B": 64, "T": 64, "E": 128, "H": 384, "L": 2, "V": 98, "mark": None},
}
CLIP, RATE = 1.0, 1e-3
TURNS, LEAST = 6, 3
"""Turns of each, and steps in one, however long they take."""


def numpy_step(shape: dict):
    """One step of ours, as a function without arguments."""
    import numpy as np

    from pantoum.kernels import Workspace, backend
    from pantoum.network import LanguageModel
    from pantoum.network.gradient import norm
    from pantoum.network.program import Program

    model = LanguageModel(shape["V"], shape["E"], "gru", shape["H"], shape["L"])
    tokens = np.random.default_rng(0).integers(0, shape["V"], (shape["B"], shape["T"] + 1)).astype(np.int32)
    kernels, workspace = backend(np.float32), Workspace()
    moments = {name: (np.zeros_like(p), np.zeros_like(p)) for name, p in model.parameters.items()}
    run = {"state": model.initial_state(shape["B"]), "step": 0}

    def step() -> float:
        run["step"] += 1
        program = Program(model, purpose="train", workspace=workspace)
        result = program.gradients(tokens[:, :-1], tokens[:, 1:], run["state"])
        run["state"] = result.state
        factor = min(1.0, CLIP / norm(kernels, result.gradients))
        for name, gradient in result.gradients.items():
            kernels.adamw(
                model.parameters[name],
                gradient.values,
                *moments[name],
                step=run["step"],
                rate=RATE,
                betas=(0.9, 0.999),
                weight_decay=0.01,
                factor=factor,
            )
        return result.loss

    return step


def torch_step(shape: dict):
    """One step of the peer."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    embedding, head = nn.Embedding(shape["V"], shape["E"]), nn.Linear(shape["H"], shape["V"])
    gru = nn.GRU(shape["E"], shape["H"], shape["L"], batch_first=True)
    parameters = [p for module in (embedding, gru, head) for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01, fused=True)
    tokens = torch.randint(shape["V"], (shape["B"], shape["T"] + 1))
    run = {"state": torch.zeros(shape["L"], shape["B"], shape["H"])}

    def step() -> float:
        optimizer.zero_grad()
        outputs, state = gru(embedding(tokens[:, :-1]), run["state"])
        run["state"] = state.detach()
        loss = nn.functional.cross_entropy(head(outputs).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        return float(loss.detach())

    return step


def work(which: str, shape: dict) -> Work:
    """What a contestant's process does; its units are tokens."""
    return Work({"numpy": numpy_step, "torch": torch_step}[which](shape), shape["B"] * shape["T"])


def gigaflops(shape: dict) -> float:
    """Multiplications and additions of the dense products of a step, forward and backward."""
    inputs = [shape["E"]] + [shape["H"]] * (shape["L"] - 1)
    weights = sum(3 * shape["H"] * (size + shape["H"]) for size in inputs) + shape["H"] * shape["V"]
    return 6 * shape["B"] * shape["T"] * weights / 1e9


def measure(name: str, shape: dict, seconds: float, threads: int, peer: bool) -> dict:
    """Both in turns, for about this long."""
    more = ("--shape", json.dumps(shape))
    makers = {
        which: partial(Child, __file__, which, threads, *more, PANTOUM_ISA="numpy")
        for which in ("numpy", *(["torch"] if peer else []))
    }
    children = start(makers)
    take_turns(children, seconds / len(children), TURNS)
    result: dict = {"shape": name, **{k: v for k, v in shape.items() if k != "mark"}, "mark": shape["mark"]}
    for which, child in children.items():
        found = child.close()
        if "min" not in found:
            raise SystemExit(f"{which} did not run: {child.missing}")
        result[which] = {
            **found,
            "tokens_per_second": found["rate"],
            "gflops": gigaflops(shape) / found["min"],
        }
    if peer:
        result["ratio"] = result["torch"]["min"] / result["numpy"]["min"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=12, help="for each shape")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", choices=SHAPES, help="one shape")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--serve", choices=("numpy", "torch"), help=argparse.SUPPRESS)
    parser.add_argument("--shape", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(lambda: work(options.serve, options.shape), least=LEAST)
    peer = not options.no_peer and importlib.util.find_spec("torch") is not None
    if not peer:
        print("no peer: PyTorch is not importable here, or not wanted", file=sys.stderr)
    found = {**machine(), "arithmetic": "numpy", "threads": options.threads}
    if peer:
        found["torch"] = version("torch")
    names = [options.only] if options.only else list(SHAPES)
    results = [measure(name, SHAPES[name], options.seconds, options.threads, peer) for name in names]
    if options.json:
        return print(json.dumps({**found, "results": results}))
    print(", ".join(f"{key} {value}" for key, value in found.items()))
    for result in results:
        print(f"\n{result['shape']}: " + " ".join(f"{k}={result[k]}" for k in "BTEHLV"))
        for which in ("numpy", "torch"):
            if which in result:
                r = result[which]
                print(
                    f"  {which:6} min {r['min'] * 1e3:7.1f} ms  median {r['median'] * 1e3:7.1f}  "
                    f"max {r['max'] * 1e3:7.1f}  ({r['steps']} steps)  "
                    f"{r['tokens_per_second']:8.0f} tokens/s  {r['gflops']:5.0f} GFLOP/s"
                )
        if peer:
            mark = f" (mark: {result['mark']})" if result["mark"] else ""
            print(f"  ratio  {result['ratio']:.2f} times the peer's rate{mark}")
    return None


if __name__ == "__main__":
    main()
