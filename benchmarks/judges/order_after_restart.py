"""Whether the order of a text survives a restart: accelerate's stateful loader, and our batches.

    python benchmarks/judges/order_after_restart.py

Two ranks read an epoch and three batches of the next one, save where they are, and read on. New processes
take up what was saved. What they read is compared with what the first ones read from there on: accelerate
keeps the place and loses the order (its issue 4195, open in November 2026). Needs accelerate and torchdata.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RANKS, ROWS, SIZE, READ = 2, 64, 4, 3


def accelerate_rank(step: str, folder: Path) -> None:
    """One rank, before the restart or after it."""
    import torch
    from accelerate import Accelerator, DataLoaderConfiguration
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(1)
    config = DataLoaderConfiguration(use_stateful_dataloader=True)
    rows = DataLoader(TensorDataset(torch.arange(ROWS)), batch_size=SIZE, shuffle=True)
    loader = Accelerator(cpu=True, dataloader_config=config).prepare(rows)
    kept = folder / f"accelerate-{os.environ['RANK']}"
    if step == "before":
        for _ in loader:
            pass
        batches = iter(loader)
        for _ in range(READ):
            next(batches)
        torch.save(loader.state_dict(), kept)
    else:
        loader.load_state_dict(torch.load(kept, weights_only=False))
        batches = iter(loader)
    told(folder, f"accelerate-{step}", [batch[0].tolist() for batch in batches])


def our_rank(step: str, folder: Path) -> None:
    """The same of ours: a rank reads its share of the rows of every batch."""
    import numpy as np

    from pantoum.data import StatefulBatches

    kept = folder / f"pantoum-{os.environ['RANK']}"
    tokens = np.arange(2 * SIZE * ROWS + 1, dtype=np.uint32)
    cursor = None if step == "before" else json.loads(kept.read_text())
    batches = StatefulBatches(tokens, RANKS * SIZE, 8, cursor=cursor)
    share = slice(int(os.environ["RANK"]) * SIZE, (int(os.environ["RANK"]) + 1) * SIZE)
    if step == "before":
        for _ in range(batches.steps_per_epoch + READ):
            next(batches)
        kept.write_text(json.dumps(batches.cursor))
    rest = [next(batches) for _ in range(batches.steps_per_epoch - READ)]
    told(folder, f"pantoum-{step}", [batch.inputs_BT[share, 0].tolist() for batch in rest])


def told(folder: Path, name: str, rest: list[Any]) -> None:
    """What this rank reads from the place that was saved."""
    (folder / f"{name}-{os.environ['RANK']}.json").write_text(json.dumps(rest))


def same(folder: Path, who: str) -> tuple[int, int]:
    """(batches that are the same after the restart, all of them), over the ranks."""
    found = [
        [json.loads((folder / f"{who}-{step}-{rank}.json").read_text()) for step in ("before", "after")]
        for rank in range(RANKS)
    ]
    pairs = [pair for before, after in found for pair in zip(before, after, strict=False)]
    return sum(one == other for one, other in pairs), sum(len(before) for before, _ in found)


def main() -> int:
    """Start the ranks twice and compare."""
    if len(sys.argv) > 1:
        who, step, folder = sys.argv[1:]
        (accelerate_rank if who == "accelerate" else our_rank)(step, Path(folder))
        return 0
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for who, packages in (("accelerate", ("accelerate", "torchdata")), ("pantoum", ("torch",))):
            missing = [name for name in packages if find_spec(name) is None]
            if missing:
                print(f"{who}: SKIP SKIP SKIP, {missing[0]} is missing")
                continue
            for step in ("before", "after"):
                launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}"]
                subprocess.run([sys.executable, *launcher, __file__, who, step, folder], check=True)
            right, run = same(Path(folder), who)
            print(f"{who}: {right} of {run} batches are those that were next")
            wrong += who == "pantoum" and right < run
    return wrong


if __name__ == "__main__":
    sys.exit(main())
