"""SIGKILL a run at random instants, resume it each time, and compare with one that was never killed.

    python benchmarks/faults/kill_resume.py --count 500 [--progress FILE] [--json]

Each run saves a checkpoint every step and is killed and resumed until it has finished; then its model file
and its last checkpoint must equal, bit for bit, those of the run that was never killed. Told besides: how
many steps a kill lost (at most one interval), and temporary files left at the end. ``--progress FILE`` keeps
the count, so that a long series can be broken off and gone on with.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.formats import checkpoint
from pantoum.formats.durable import is_temporary

TINY = {
    "hidden_size": 16,
    "num_layers": 1,
    "embedding_size": 8,
    "batch_size": 4,
    "seq_len": 16,
    "steps": 60,
    "checkpoint_every": 1,
    "dropout": 0.1,
}
PROGRAM = """
import json, sys
from pantoum.config import TrainSettings
from pantoum.training.loop import train
train(TrainSettings(**json.loads(sys.argv[1])), sys.argv[2:],
      on_report=lambda report: print(report.step, flush=True))
"""


def text(folder: Path) -> Path:
    """Some 20,000 characters of words at random."""
    draw = random.Random(3)
    words = ["north", "south", "east", "west", "wind", "rain", "sun", "and", "then", "again"]
    path = folder / "story.txt"
    path.write_text("".join(" ".join(draw.choices(words, k=6)) + "\n" for _ in range(600)))
    return path


def start(run: Path, story: Path, *, resume: bool) -> subprocess.Popen[str]:
    """The training command in a process of its own."""
    settings: dict[str, Any] = {"run": str(run), "checkpoint_every": 1}
    settings |= {"resume": True} if resume else TINY
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(settings), str(story)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fingerprint(run: Path) -> str:
    """SHA-256 over the model file and all arrays of the newest checkpoint."""
    hasher = hashlib.sha256((run / "model.safetensors").read_bytes())
    found = checkpoint.newest(run)
    assert found is not None
    for name in sorted(found.arrays):
        hasher.update(np.ascontiguousarray(found.arrays[name]).tobytes())
    return hasher.hexdigest()


def finished(run: Path) -> bool:
    """Whether the newest checkpoint says that the budget is used."""
    found = checkpoint.newest(run) if (run / "checkpoints").exists() else None
    return found is not None and bool(found.state["finished"])


def one_run(
    folder: Path, story: Path, whole: str, seconds: float, draw: random.Random, most: int
) -> dict[str, Any]:
    """Kill and resume one run until it has finished (or ``most`` kills are done)."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    kills, lost, stray, failures = 0, [], 0, []
    while True:
        process = start(run, story, resume=run.exists() and (run / "config.json").exists())
        told: list[int] = []
        try:
            if kills < most:
                process.wait(draw.uniform(0.0, 1.3 * seconds))
            output, errors = process.communicate()
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            kills += 1
            told = [int(line) for line in output.split() if line.isdigit()]
            if run.exists() and not (run / "config.json").exists():
                shutil.rmtree(run)  # killed before it had said what it is: nothing was trained
            elif told:
                newest = checkpoint.newest(run)
                lost.append(max(told) - (0 if newest is None else newest.step))
            continue
        if process.returncode != 0:
            failures.append((errors.strip() or f"exit {process.returncode}").splitlines()[-1])
            break
        stray += sum(is_temporary(path.name) for path in run.rglob("*"))
        break
    same = not failures and finished(run) and fingerprint(run) == whole
    return {"kills": kills, "lost": lost, "stray": stray, "failures": failures, "same": same}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=500, help="kills in all")
    parser.add_argument("--progress", type=Path, help="file that keeps the count")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    total: dict[str, Any] = {"kills": 0, "runs": 0, "equal": 0, "stray": 0, "lost": [], "failures": []}
    if arguments.progress and arguments.progress.exists():
        total = json.loads(arguments.progress.read_text())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        story = text(folder)
        began = time.monotonic()
        start(folder / "whole", story, resume=False).communicate()
        seconds, whole = time.monotonic() - began, fingerprint(folder / "whole")
        while total["kills"] < arguments.count:
            draw = random.Random(f"{arguments.seed} {total['runs']}")
            found = one_run(folder, story, whole, seconds, draw, arguments.count - total["kills"])
            total["kills"] += found["kills"]
            total["runs"] += 1
            total["equal"] += found["same"]
            total["stray"] += found["stray"]
            total["lost"] += found["lost"]
            total["failures"] += found["failures"]
            if arguments.progress:
                arguments.progress.write_text(json.dumps(total))
    lost = total.pop("lost")
    total |= {
        "most_steps_lost": max(lost, default=0),
        "median_steps_lost": statistics.median(lost or [0]),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    good = total["equal"] == total["runs"] and not total["stray"] and not total["failures"]
    if arguments.json:
        print(json.dumps(total))
    else:
        print("\n".join(f"{name:18} {value}" for name, value in total.items()))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
