"""Training steps on two ranks of one thread against one process of two threads, and what shards cost.

    python benchmarks/ranks.py [--engine core|torch] [--shape origin] [--precision bf16] [--optimizer adamw]
                               [--seconds 20] [--json]

Four contestants take turns: one process as usual; one process with 2 shards; two ranks; and half of the batch
in one process of one thread, for the memory of a rank. Each first does the same four steps from the same seed
and tells a hash of its weights. Ratios are of medians of whole steps (gradients and update).

``--engine core``: ranks of ``mpirun``, which needs mpi4py; the weights of shards and ranks must agree to the
bit. ``--engine torch``: PyTorch on the CPU, ranks of ``torchrun`` over gloo. There a process computes its
rows in one pass whatever the shards, and no bit is promised, so the loss after the four steps is compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measured import machine
from processes import Child, Work, serve, start, take_turns
from training import SHAPES

from pantoum.config import ModelConfig
from pantoum.config.launcher import torchrun_count
from pantoum.ranks.interface import Ranks
from pantoum.ranks.opening import open_ranks
from pantoum.training.assembly import make_backend
from pantoum.training.backend import Backend, SharedBackend
from pantoum.training.commands import command
from pantoum.training.engine import Engine
from pantoum.training.ranked_backend import RankedBackend
from pantoum.training.recipe import Recipe
from pantoum.training.worker import work as follow

# (name, shards, ranks, threads of each, share of the batch)
CONTESTANTS = {
    "one process": (1, 1, 2, 1),
    "one process, 2 shards": (2, 1, 2, 1),
    "2 ranks": (2, 2, 1, 1),
    "half of the batch": (1, 1, 1, 2),
}
MARKS = {
    "core": {
        "2 ranks / one process": 0.93,
        "2 shards / one process": 0.97,
        "memory of a rank, MB, at most": 60.0,
    },
    "torch": {"2 ranks / one process": 0.9, "difference of losses": 1e-4},
}
STEPS = 4


def recipe(shape: dict[str, int], optimizer: str, precision: str, shards: int, batch: int) -> Recipe:
    """A GRU of the shape, one-hot as in benchmarks/training.py."""
    config = ModelConfig("gru", shape["H"], shape["L"], None)
    return Recipe(
        model=config,
        batch_size=batch,
        seq_len=shape["T"],
        optimizer=optimizer,
        learning_rate=2e-3,
        schedule="linear",
        warm_up=0.04,
        weight_decay=0.01,
        clip=1.0,
        average=0.99,
        precision=precision,
        seed=0,
        shards=shards,
    )


def resident(process: int | str) -> float:
    """The most memory that a process has had, in MB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000.0
    return 0.0


def made(name: str, asked: argparse.Namespace, ranks: Ranks) -> Work:
    """A contestant's step."""
    shards, count, _, divisor = CONTESTANTS[name]
    shape = SHAPES[asked.shape]
    batch = shape["B"] // divisor
    chosen = recipe(shape, asked.optimizer, asked.precision, shards, batch)
    own, engine = make_backend(chosen, shape["V"]), engine_of(asked)
    local: SharedBackend = own if engine is None else engine.take_over(own, chosen, shape["V"])
    backend: Backend = local if count == 1 else RankedBackend(local, ranks, chosen, shape["V"], batch)
    draw = np.random.default_rng(0)
    tokens = draw.integers(0, shape["V"], (8, batch, shape["T"] + 1)).astype(np.int32)
    no_BT, streams = np.zeros((batch, shape["T"]), bool), np.arange(batch)
    run: dict[str, Any] = {"state": backend.initial_state(batch), "step": 0}

    def step() -> None:
        tokens_BT = tokens[run["step"] % len(tokens)]
        found = backend.gradients(
            tokens_BT[:, :-1], tokens_BT[:, 1:], no_BT, run["state"], run["step"], streams
        )
        backend.update(2e-3, 1.0)
        run.update(state=found.state, step=run["step"] + 1, loss=found.loss)

    for _ in range(STEPS):
        step()
    total = hashlib.sha256()
    for key, array in sorted((backend.weights(averaged=False) or {}).items()):
        total.update(key.encode() + array.tobytes())
    processes = [int(each) for each in ranks.gather(str(os.getpid()).encode())] if count == 1 else PROCESSES
    return Work(
        step,
        batch * shape["T"],
        {"bits": total.hexdigest()[:16], "loss": run["loss"], "processes": processes},
        lambda: {"megabytes": [resident(each) for each in processes]},
    )


PROCESSES: list[int] = []


def engine_of(asked: argparse.Namespace) -> Engine | None:
    """PyTorch on the CPU, or the core."""
    if asked.engine == "core":
        return None
    from pantoum.torch.engine import engine

    return engine("cpu")


def started_by_torchrun(asked: argparse.Namespace) -> Any:
    """What makes the ranks that ``torchrun`` has started; ``None``: those of MPI, or none."""
    if asked.engine == "core" or torchrun_count() == 1:
        return None
    from pantoum.torch.ranks import GlooRanks

    return GlooRanks


def contestant(name: str, asked: argparse.Namespace) -> None:
    """The child, on each of its ranks."""
    with open_ranks(started_by_torchrun(asked)) as ranks:
        told = ranks.gather(str(os.getpid()).encode())
        PROCESSES[:] = [int(each) for each in told]
        if ranks.rank:
            follow(ranks, partial(engine_of, asked))
            return
        serve(lambda: made(name, asked, ranks))
        if ranks.count > 1:
            command(ranks, "end", error=None, result={})


def child(name: str, more: list[str], engine: str) -> Child:
    """The process of a contestant, or its launcher."""
    _, count, threads, _ = CONTESTANTS[name]
    launcher: list[str] = []
    if count > 1 and engine == "torch":
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python"]
        launcher += ["--nproc-per-node", str(count)]
    elif count > 1:
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        mpirun = shutil.which("mpirun") or str(Path(sys.executable).parent / "mpirun")
        launcher = [mpirun, "-n", str(count), *root]
    return Child(str(Path(__file__)), name, threads, *more, launcher=launcher)


def main() -> None:
    """All contestants, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=MARKS, default="core")
    parser.add_argument("--shape", choices=SHAPES, default="origin")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--serve", choices=CONTESTANTS)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.serve is not None:
        contestant(asked.serve, asked)
        return
    more = ["--shape", asked.shape, "--precision", asked.precision, "--optimizer", asked.optimizer]
    more += ["--engine", asked.engine]
    children = start({name: partial(child, name, more, asked.engine) for name in CONTESTANTS})
    take_turns(children, asked.seconds, asked.turns)
    found = {name: each.close() for name, each in children.items()}
    rate = {name: each.get("median_rate", float("nan")) for name, each in found.items()}
    memory = {name: max(each.get("megabytes", [float("nan")])) for name, each in found.items()}
    figures = {
        "2 ranks / one process": rate["2 ranks"] / rate["one process"],
        "2 shards / one process": rate["one process, 2 shards"] / rate["one process"],
        "memory of a rank, MB, at most": memory["2 ranks"] - memory["half of the batch"],
        "same bits": found["2 ranks"].get("bits") == found["one process, 2 shards"].get("bits"),
    }
    if asked.engine == "torch":
        losses = [found[name].get("loss", float("nan")) for name in ("2 ranks", "one process")]
        del figures["same bits"]
        figures["difference of losses"] = abs(losses[0] - losses[1])
    if asked.json:
        print(json.dumps({"machine": machine(), **vars(asked), "contestants": found, "figures": figures}))
        return
    for name, each in found.items():
        print(
            f"{name:<24}{rate[name]:>12,.0f} tokens/s {memory[name]:>8.0f} MB   {each.get('missing') or ''}"
        )
    for name, value in figures.items():
        print(f"{name:<32}{value:>12.6f}   mark {MARKS[asked.engine].get(name, '-')}")


if __name__ == "__main__":
    main()
