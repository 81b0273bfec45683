"""A whole training step in NumPy against the same step in the native core and with PyTorch's fused GRU, on
the same threads; and one text written in NumPy and in the core.

One step is forward, backward, clipping by norm and AdamW, of a language model over V symbols: embedding, a
stack of GRUs, a head. The core trains in the precision that ``--precision auto`` would choose. The peer is
``nn.Embedding`` + ``nn.GRU`` + ``nn.Linear`` + ``cross_entropy`` + ``clip_grad_norm_`` + fused ``AdamW``,
float32. Each runs in a process of its own, so that the thread pools do not meet, and all take turns, so that
a change of the machine's clock falls on all of them. The peer needs PyTorch:

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
    "short text": {"B": 32, "T": 64, "E": 48, "H": 128, "L": 1, "V": 70, "mark": None},
    "one text written": {"B": 1, "T": 100, "E": 128, "H": 384, "L": 2, "V": 98, "mark": None},
}
CLIP, RATE = 1.0, 1e-3
TURNS, LEAST = 6, 3
"""Turns of each, and steps in one, however long they take."""


def own_step(shape: dict):
    """One step of ours, as a function without arguments: in the core, where it may be used."""
    import numpy as np

    from pantoum.kernels import Workspace, backend, precisions
    from pantoum.network import LanguageModel
    from pantoum.network.gradient import norm
    from pantoum.network.program import Program

    model = LanguageModel(shape["V"], shape["E"], "gru", shape["H"], shape["L"])
    tokens = np.random.default_rng(0).integers(0, shape["V"], (shape["B"], shape["T"] + 1)).astype(np.int32)
    kernels, workspace, precision = backend(np.float32), Workspace(), precisions(np.float32)[-1]
    moments = {name: (np.zeros_like(p), np.zeros_like(p)) for name, p in model.parameters.items()}
    run = {"state": model.initial_state(shape["B"]), "step": 0}

    def step() -> float:
        run["step"] += 1
        program = Program(model, precision=precision, purpose="train", workspace=workspace)
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


def own_writing(shape: dict):
    """T tokens of one text in float32, without the draw."""
    import numpy as np

    from pantoum.network import LanguageModel
    from pantoum.network.program import Program
    from pantoum.network.stepping import stepper

    program = Program(LanguageModel(shape["V"], shape["E"], "gru", shape["H"], shape["L"]))
    token, logits = np.zeros(1, np.int32), np.empty((1, shape["V"]), np.float32)
    step = stepper(program, token, program.initial_state(1), logits)

    def write() -> None:
        for _ in range(shape["T"]):
            step(0, 1)

    return write


def work(which: str, shape: dict) -> Work:
    """What a contestant's process does; its units are tokens."""
    ours = own_step if shape["B"] > 1 else own_writing
    return Work({"numpy": ours, "core": ours, "torch": torch_step}[which](shape), shape["B"] * shape["T"])


def gigaflops(shape: dict) -> float:
    """Multiplications and additions of the dense products of a step; in training forward and backward."""
    inputs = [shape["E"]] + [shape["H"]] * (shape["L"] - 1)
    weights = sum(3 * shape["H"] * (size + shape["H"]) for size in inputs) + shape["H"] * shape["V"]
    return (6 if shape["B"] > 1 else 2) * shape["B"] * shape["T"] * weights / 1e9


def measure(name: str, shape: dict, seconds: float, threads: int, peer: bool) -> dict:
    """All in turns, for about this long."""
    more, contestants = ("--shape", json.dumps(shape)), {"numpy": "numpy", "core": ""}
    if peer and shape["B"] > 1:
        contestants["torch"] = "numpy"
    makers = {
        which: partial(Child, __file__, which, threads, *more, PANTOUM_ISA=isa)
        for which, isa in contestants.items()
    }
    children = start(makers)
    take_turns(children, seconds / len(children), TURNS)
    result: dict = {"shape": name, **shape}
    for which, child in children.items():
        found = child.close()
        if "min" not in found:
            raise SystemExit(f"{which} did not run: {child.missing}")
        result[which] = {
            **found,
            "tokens_per_second": found["rate"],
            "gflops": gigaflops(shape) / found["min"],
        }
        if which != "numpy":
            result[f"{which}_ratio"] = found["min"] / result["numpy"]["min"]
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
    parser.add_argument("--serve", choices=("numpy", "core", "torch"), help=argparse.SUPPRESS)
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
        for which in ("numpy", "core", "torch"):
            if which in result:
                r, ratio = result[which], result.get(f"{which}_ratio")
                print(
                    f"  {which:6} min {r['min'] * 1e3:7.1f} ms  median {r['median'] * 1e3:7.1f}  "
                    f"max {r['max'] * 1e3:7.1f}  ({r['steps']} steps)  "
                    f"{r['tokens_per_second']:8.0f} tokens/s  {r['gflops']:5.0f} GFLOP/s"
                    + ("" if ratio is None else f"  NumPy has {ratio:.3f} of its rate")
                )
        if result["mark"] and "torch_ratio" in result:
            print(f"  mark of NumPy against the peer: {result['mark']}")
    return None


if __name__ == "__main__":
    main()
