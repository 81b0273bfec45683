"""Training steps on two ranks of one thread against one process of two threads, and what shards cost.

    python benchmarks/ranks.py [--engine core|torch] [--shape origin] [--precision bf16 float32]
                               [--optimizer adamw muon] [--seconds 20] [--only NAME ...] [--json]

Contestants take turns: one process as usual; one process with 2 shards; two ranks; half of the batch in one
process of one thread, for the memory of a rank. Each first does the same four steps from the same seed and
tells a hash of its weights. Ratios are of medians of whole steps (gradients and update). Bytes are those that
rank 0 sends. The share of a step in sums is the time after the backward pass.

``--engine core``: ranks of ``mpirun``, which needs mpi4py; the weights of shards and ranks must agree to the
bit. ``--engine torch``: PyTorch on the CPU, ranks of ``torchrun`` over gloo. There a
process computes its rows in one pass whatever the shards, and no bit is promised, so the loss after the four
steps is compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from measured import machine
from processes import Child, Work, serve, start, take_turns
from training import SHAPES

from pantoum.apps.ranks.backend import RankedBackend, command
from pantoum.apps.ranks.group import group
from pantoum.apps.ranks.group import work as follow
from pantoum.apps.ranks.sums import RankSums, Sums
from pantoum.apps.ranks.transport import Array, Pending, Ranks, gather
from pantoum.config import ModelConfig, TrainSettings
from pantoum.data.batches import Batch
from pantoum.network.gradient import Gradient
from pantoum.training.assembly import make_backend
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.update.backend import Backend, TrainingEngine


@dataclass(frozen=True)
class Contestant:
    """How a step is shared out."""

    shards: int
    ranks: int
    threads: int
    """Of each rank."""
    divisor: int = 1
    """The batch is divided by it."""


CONTESTANTS = {
    "one process": Contestant(1, 1, 2),
    "one process, 2 shards": Contestant(2, 1, 2),
    "2 ranks": Contestant(2, 2, 1),
    "half of the batch": Contestant(1, 1, 1, divisor=2),
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


class Counted:
    """Ranks that count the bytes which they send."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks, self.rank, self.count = ranks, ranks.rank, ranks.count
        self.sent = 0

    def place(self, rank: int) -> str:
        """Where a rank runs."""
        return self._ranks.place(rank)

    def exchange(
        self, outgoing: Sequence[tuple[int, Array]], incoming: Sequence[tuple[int, Array]]
    ) -> Pending:
        """Send and receive arrays."""
        self.sent += sum(array.nbytes for _, array in outgoing)
        return self._ranks.exchange(outgoing, incoming)

    def abort(self, why: str) -> NoReturn:
        """End all ranks."""
        self._ranks.abort(why)

    def close(self) -> None:
        """No sign of life is expected or sent any more."""
        self._ranks.close()


class TimedSums(RankSums):
    """Sums over ranks, and the seconds for which a rank waits for them after its backward pass."""

    seconds = 0.0

    def total(self, sums: Sums) -> dict[str, Gradient]:
        """The gradients of the whole batch."""
        began = time.perf_counter()
        found = super().total(sums)
        self.seconds += time.perf_counter() - began
        return found


def recipe(shape: dict[str, int], optimizer: str, precision: str, own: Contestant) -> Recipe:
    """A GRU of the shape, one-hot as in benchmarks/training.py."""
    config = ModelConfig("gru", shape["H"], shape["L"], None)
    return Recipe(
        model=config,
        batch_size=shape["B"] // own.divisor,
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
        shards=own.shards,
    )


def resident(process: int | str) -> float:
    """The most memory that a process has had, in MB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000.0
    return 0.0


def made(name: str, asked: argparse.Namespace, ranks: Ranks) -> Work:
    """A contestant's step."""
    contestant, shape = CONTESTANTS[name], SHAPES[asked.shape]
    count = contestant.ranks
    chosen = recipe(shape, asked.optimizer, asked.precision, contestant)
    batch = chosen.batch_size
    own, engine, counted = make_backend(chosen, shape["V"]), engine_of(asked), Counted(ranks)
    local: Any = own if engine is None else engine.take_over(own, chosen, shape["V"], batch, None)
    group: Ranks = counted if engine is None else ranks  # PyTorch exchanges tensors, by its own ranks
    backend: Backend = local if count == 1 else RankedBackend(local, group, chosen, shape["V"], batch)
    sums = TimedSums(counted, batch, chosen.shards)
    if count > 1 and engine is None:
        local.join(sums)
    draw = np.random.default_rng(0)
    tokens = draw.integers(0, shape["V"], (8, batch, shape["T"] + 1)).astype(np.int32)
    no_BT, streams = np.zeros((batch, shape["T"]), bool), np.arange(batch)
    run: dict[str, Any] = {"state": backend.initial_state(batch), "step": 0}

    def step() -> None:
        tokens_BT = tokens[run["step"] % len(tokens)]
        found = backend.gradients(
            Batch(tokens_BT[:, :-1], tokens_BT[:, 1:], no_BT, 0), run["state"], run["step"], streams
        )
        backend.update(2e-3, 1.0)
        run.update(state=found.state, step=run["step"] + 1, loss=found.loss)

    for _ in range(STEPS):
        step()
    total = hashlib.sha256()
    for key, array in sorted((backend.weights(averaged=False) or {}).items()):
        total.update(key.encode() + array.tobytes())
    processes = [int(each) for each in gather(ranks, str(os.getpid()).encode())] if count == 1 else PROCESSES
    begun = counted.sent, run["step"]
    sums.seconds = 0.0

    def after() -> dict[str, Any]:
        count = run["step"] - begun[1]
        memory = {"megabytes": [resident(each) for each in processes]}
        if engine is not None:  # tensors are exchanged unseen
            return memory
        sent = counted.sent - begun[0]
        return {
            **memory,
            "bytes_per_token": sent / (count * batch * shape["T"]),
            "summing_per_step": sums.seconds / count,
        }

    facts = {"bits": total.hexdigest()[:16], "loss": run["loss"], "processes": processes}
    return Work(step, batch * shape["T"], facts, after)


PROCESSES: list[int] = []


def engine_of(asked: argparse.Namespace) -> TrainingEngine | None:
    """PyTorch on the CPU, or the core."""
    if asked.engine == "core":
        return None
    from pantoum.apps.torch.torch_backend import engine

    return engine(TrainSettings(device="cpu"))


class SingleRank:
    """The one rank of a process that was started without others."""

    rank, count = 0, 1


def contestant(name: str, asked: argparse.Namespace) -> None:
    """The child, on each of its ranks."""
    with group() as found:
        ranks: Any = SingleRank() if found is None else found._ranks
        told = gather(ranks, str(os.getpid()).encode())
        PROCESSES[:] = [int(each) for each in told]
        if ranks.rank:
            follow(ranks, partial(engine_of, asked))
            return
        serve(lambda: made(name, asked, ranks))
        if ranks.count > 1:
            command(ranks, "end", error=None, result={})


def child(name: str, more: list[str], engine: str) -> Child:
    """The process of a contestant, or its launcher."""
    count, threads = CONTESTANTS[name].ranks, CONTESTANTS[name].threads
    launcher: list[str] = []
    if count > 1 and engine == "torch":
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python"]
        launcher += ["--nproc-per-node", str(count)]
    elif count > 1:
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        mpirun = shutil.which("mpirun") or str(Path(sys.executable).parent / "mpirun")
        launcher = [mpirun, "-n", str(count), *root]
    # Ranks that have not their turn are stopped, which must not count as silence.
    return Child(
        str(Path(__file__).resolve()), name, threads, *more, launcher=launcher, PANTOUM_RANK_TIMEOUT="3600"
    )


def measured(asked: argparse.Namespace, optimizer: str, precision: str) -> dict[str, Any]:
    """Contestants and figures with this optimiser in this precision."""
    more = ["--shape", asked.shape, "--precision", precision, "--optimizer", optimizer]
    more += ["--engine", asked.engine]
    asked_for = [name for name in CONTESTANTS if not asked.only or name in asked.only]
    children = start({name: partial(child, name, more, asked.engine) for name in asked_for})
    take_turns(children, asked.seconds, asked.turns)
    found = {name: each.close() for name, each in children.items()}

    def of(name: str, fact: str) -> float:
        value = found.get(name, {}).get(fact, float("nan"))
        return max(value) if isinstance(value, list) else float(value)

    figures: dict[str, Any] = {
        "2 ranks / one process": of("2 ranks", "median_rate") / of("one process", "median_rate"),
        "2 shards / one process": of("one process, 2 shards", "median_rate")
        / of("one process", "median_rate"),
        "share of the step in sums, 2 ranks": of("2 ranks", "summing_per_step")
        * of("2 ranks", "median_rate")
        / of("2 ranks", "units"),
        "memory of a rank, MB, at most": of("2 ranks", "megabytes") - of("half of the batch", "megabytes"),
        "same bits": found.get("2 ranks", {}).get("bits")
        == found.get("one process, 2 shards", {}).get("bits"),
    }
    if asked.engine == "torch":
        del figures["same bits"]
        figures["difference of losses"] = abs(of("2 ranks", "loss") - of("one process", "loss"))
    return {"optimizer": optimizer, "precision": precision, "contestants": found, "figures": figures}


def main() -> None:
    """All contestants, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=MARKS, default="core")
    parser.add_argument("--shape", choices=SHAPES, default="origin")
    parser.add_argument("--precision", nargs="+", default=["bf16"])
    parser.add_argument("--optimizer", nargs="+", default=["adamw"])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], help="these contestants")
    parser.add_argument("--serve", choices=CONTESTANTS)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.serve is not None:
        asked.precision, asked.optimizer = asked.precision[0], asked.optimizer[0]
        contestant(asked.serve, asked)
        return
    rows = [measured(asked, each, precision) for precision in asked.precision for each in asked.optimizer]
    if asked.json:
        print(json.dumps({"machine": machine(), **vars(asked), "rows": rows}))
        return
    for row in rows:
        print(f"{row['optimizer']}, {row['precision']}")
        for name, each in row["contestants"].items():
            print(
                f"  {name:<46}{each.get('median_rate', 0):>10,.0f} tokens/s"
                f"{max(each.get('megabytes', [0])):>8.0f} MB"
                f"{each.get('bytes_per_token', 0):>10.1f} bytes per token   {each.get('missing') or ''}"
            )
        for name, value in row["figures"].items():
            print(f"  {name:<52}{value:>10.4f}   mark {MARKS[asked.engine].get(name, '-')}")


if __name__ == "__main__":
    main()
