"""What ``--sync-every N`` costs in loss: two MPI ranks, equal tokens, N = 1 (every update), 8, 32 and 128.

    python benchmarks/sync_every.py --text train.txt --valid val.txt --folder runs/sync [--steps 2000]
        [--every 1 8 32 128] [--seeds 1 2] [--ranks 2] [--more "--hidden-size 192"] [--json]

Each is the whole of ``mpirun -n 2 pantoum train --steps ...`` with the settings that the recipe chooses for
the text. A run that was stopped is resumed, one that is finished is only read, so the same command goes on.
Losses by ``--steps`` do not depend on what else the machine does. Needs mpi4py and ``mpirun``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from measured import machine

MARK = {32: 0.01}
"""Nats per token that it may cost at most."""


def trained(asked: argparse.Namespace, every: int, seed: int) -> dict[str, Any]:
    """The result of a run, begun, resumed or read."""
    folder = Path(asked.folder) / f"every-{every}-seed-{seed}"
    words = ["--run", str(folder), "--resume"]
    if not folder.exists():
        words = [asked.text, "--valid", asked.valid, "--steps", str(asked.steps), "--seed", str(seed)]
        words += ["--run", str(folder), "--sync-every", str(every), *asked.more.split()]
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    mpirun = shutil.which("mpirun") or str(Path(sys.executable).parent / "mpirun")
    launcher = [mpirun, "-n", str(asked.ranks), "--oversubscribe", *root]
    done = subprocess.run(
        [*launcher, sys.executable, "-m", "pantoum", "train", *words, "--json", "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PANTOUM_THREADS": "1", **os.environ},
    )
    if done.returncode:
        raise SystemExit(f"the run in {folder} has ended with code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """All runs, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", required=True)
    parser.add_argument("--valid", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--more", default="", help="other options of pantoum train, in one word")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in asked.seeds:  # a whole comparison first
        for every in asked.every:
            result = trained(asked, every, seed)
            loss = result["validation"]["nats_per_token"]
            rows.append({"every": every, "seed": seed, "loss": loss, "steps": result["steps"]})
            print(f"N = {every:<4} seed {seed}: {loss:.4f} nats per token", file=sys.stderr, flush=True)
    means = {
        every: statistics.mean(row["loss"] for row in rows if row["every"] == every) for every in asked.every
    }
    if asked.json:
        print(json.dumps({"machine": machine(), **vars(asked), "rows": rows, "means": means}))
        return
    for every, loss in means.items():
        cost = loss - means[asked.every[0]]
        print(
            f"N = {every:<4} {loss:.4f}  {cost:+.4f} nats   {f'mark {MARK[every]}' if every in MARK else ''}"
        )


if __name__ == "__main__":
    main()
