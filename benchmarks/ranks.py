"""Training on two ranks of one thread against one process of two threads, and what shards cost.

    python benchmarks/ranks.py [--launcher mpirun|torchrun] [--shape origin] [--precision bf16] [--steps 100]

Whole commands take turns: one process as usual; one process with 2 shards; two ranks. Rates are tokens per
second of training (gradients and updates, from ``metrics.jsonl``), of the best turn. Model files of shards
and ranks must agree to the bit. ``torchrun``: PyTorch on the CPU over gloo, whose ranks have other bits than
one process; there the losses are told.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measured import machine, parser, print_marks
from memory import SYMBOLS
from training import SHAPES

RANKS = "2 ranks"
CONTESTANTS = {"one process": (1, 2, 1), "one process, 2 shards": (1, 2, 2), RANKS: (2, 1, 2)}
"""Ranks, threads of each, shards."""
MARKS = {
    "mpirun": {f"{RANKS} / one process": 0.93, "one process, 2 shards / one process": 0.97},
    "torchrun": {f"{RANKS} / one process": 0.9},
}


def launcher_of(name: str, ranks: int) -> list[str]:
    """What the command of so many ranks begins with."""
    if ranks == 1:
        return [sys.executable, "-m", "pantoum"]
    if name == "torchrun":
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m", "--"]
        return [sys.executable, *launcher, "pantoum"]
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    mpirun = shutil.which("mpirun") or str(Path(sys.executable).parent / "mpirun")
    return [mpirun, "-n", str(ranks), *root, sys.executable, "-m", "pantoum"]


def main() -> None:
    """All of them in turns."""
    options = parser(__doc__)
    options.add_argument("--launcher", choices=MARKS, default="mpirun")
    options.add_argument("--shape", choices=SHAPES, default="origin")
    options.add_argument("--precision", default="bf16")
    options.add_argument("--steps", type=int, default=100)
    options.add_argument("--turns", type=int, default=3)
    asked = options.parse_args()
    shape = SHAPES[asked.shape]
    sizes = (
        f"--hidden-size {shape['H']} --embedding-size none --num-layers {shape['L']} --seq-len {shape['T']} "
    )
    sizes += (
        f"--batch-size {shape['B']} --steps {asked.steps} --precision {asked.precision} --valid-fraction 0"
    )
    engine = ["--device", "cpu"] if asked.launcher == "torchrun" else []
    found: dict[str, dict[str, Any]] = {name: {"rates": []} for name in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        text, run = Path(folder, "text.txt"), Path(folder, "run")
        text.write_text("".join(random.Random(0).choices(SYMBOLS, k=400_000)))
        for _ in range(asked.turns):
            for name, (ranks, threads, shards) in CONTESTANTS.items():
                words = [
                    "train",
                    str(text),
                    *sizes.split(),
                    "--run",
                    str(run),
                    "--shards",
                    str(shards),
                    *engine,
                ]
                command = [*launcher_of(asked.launcher, ranks), *words, "--threads", str(threads), "--quiet"]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
                found[name]["rates"].append(lines[-1]["tokens"] / lines[-1]["phases"]["training"])
                found[name]["loss"] = [line["loss"] for line in lines if line["loss"] is not None][-1]
                found[name]["bits"] = hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
                shutil.rmtree(run)
    alone, rows = max(found["one process"]["rates"]), []
    for mark, wanted in MARKS[asked.launcher].items():
        figure = max(found[mark.removesuffix(" / one process")]["rates"]) / alone
        rows.append({"mark": mark, "figure": figure, "wanted": f">= {wanted}", "holds": figure >= wanted})
    if asked.launcher == "mpirun":
        same = found[RANKS]["bits"] == found["one process, 2 shards"]["bits"]
        rows.append(
            {"mark": "ranks and shards: same bits", "figure": float(same), "wanted": "1", "holds": same}
        )
    report = {"machine": machine(), "command": sys.argv[1:], "contestants": found, "marks": rows}
    if asked.json:
        return print(json.dumps(report))
    for name, each in found.items():
        rate = f"{max(each['rates']):10,.0f} tokens per second"
        print(f"{name:<24}{rate}, loss {each['loss']:.6f}, {each['bits'][:16]}")
    return print_marks(rows)


if __name__ == "__main__":
    main()
