"""Rows 7 to 9: a rank or the launcher is killed or stopped while two or four ranks train; the run goes on.

    python benchmarks/faults/ranks.py [--kills 20] [--stops 5] [--launchers 1] [--timeout 5] [--json]

Each case starts ``mpirun -n 2`` or ``-n 4`` on a run of 4 shards and ends a rank drawn at random at a random
instant: by SIGKILL, by SIGSTOP (so that it is there and does not answer), or it kills the launcher. All
processes must end within the time limit + 5 s (15 s with the launcher killed), the output must name a rank
(with the launcher killed, nobody may be able to write it), and the newest checkpoint must verify. Then the
run is resumed on one, two, three or four ranks, and the final model file and checkpoint must equal those of a
run that was never stopped. Needs mpi4py and ``mpirun``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pantoum.formats import checkpoint

SHAPE = "--hidden-size 32 --num-layers 2 --batch-size 8 --seq-len 16 --checkpoint-every 10"
NAMED = re.compile(r"rank \d+|Rank: \[?[\w,]*\]?", re.IGNORECASE)
MOST_BEFORE = 3.0
"""Seconds after the first checkpoint at which a rank is ended, at most."""
LAUNCHER_LIMIT = 15.0


@dataclass
class Case:
    """What became of one case."""

    how: str
    ranks: int
    resumed_on: int
    seconds: float = 0.0
    """From the signal to the end of the last process."""
    named: bool = False
    faults: list[str] = field(default_factory=list)


def launched(ranks: int, *words: str, timeout: float) -> subprocess.Popen[str]:
    """``pantoum train`` on so many ranks of one thread, in a session of its own."""
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    mpirun = shutil.which("mpirun") or str(Path(sys.executable).parent / "mpirun")
    return subprocess.Popen(
        [
            mpirun,
            "-n",
            str(ranks),
            "--oversubscribe",
            *root,
            sys.executable,
            "-m",
            "pantoum",
            "train",
            *words,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PANTOUM_THREADS": "1", "PANTOUM_RANK_TIMEOUT": str(timeout)},
    )


def processes(folder: Path) -> dict[int, int]:
    """The processes of the ranks that train in a folder, by their ranks."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if str(folder).encode() not in words or any(word.endswith(b"mpirun") for word in words):
                continue
            environment = dict(
                each.partition(b"=")[::2] for each in (entry / "environ").read_bytes().split(b"\0")
            )
            if environment.get(b"OMPI_COMM_WORLD_RANK") and (entry / "stat").read_text().split()[2] != "Z":
                found[int(environment[b"OMPI_COMM_WORLD_RANK"])] = int(entry.name)
    return found


def bits(folder: Path) -> str:
    """A hash of the model file and of every array of the last checkpoint."""
    newest, total = checkpoint.newest(folder), hashlib.sha256((folder / "model.safetensors").read_bytes())
    if newest is None:
        return "no checkpoint"
    for name, array in sorted(newest.arrays.items()):
        total.update(name.encode() + array.tobytes())
    return f"{newest.step} {total.hexdigest()}"


def waited(until: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def broken_off(
    case: Case, folder: Path, text: Path, shape: list[str], draw: random.Random, timeout: float
) -> None:
    """Start the run, end it as the case says, and look at what is left."""
    job = launched(case.ranks, str(text), "--run", str(folder), *shape, timeout=timeout)
    waited(lambda: checkpoint.steps(folder) or job.poll() is not None, 60.0)
    time.sleep(draw.uniform(0.0, MOST_BEFORE))
    found = processes(folder)
    if len(found) != case.ranks:
        case.faults.append(f"{len(found)} processes before the signal")
    began = time.monotonic()
    if case.how == "launcher":
        os.kill(job.pid, signal.SIGKILL)
    else:
        rank = draw.choice(sorted(found))
        os.kill(found[rank], signal.SIGKILL if case.how == "kill" else signal.SIGSTOP)
        case.how = f"{case.how} rank {rank}"
    limit = LAUNCHER_LIMIT if case.how == "launcher" else timeout + 5.0
    if not waited(lambda: job.poll() is not None and not processes(folder), limit):
        case.faults.append(f"still there after {limit:.0f} s: {sorted(processes(folder))}")
    case.seconds = round(time.monotonic() - began, 2)
    for process in processes(folder).values():
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
    told = job.communicate(timeout=30.0)[1]
    case.named = NAMED.search(told) is not None
    if not case.named and case.how != "launcher":
        case.faults.append(f"no rank is named: {told[-300:]!r}")
    if "Traceback" in told or "bug in pantoum" in told:
        case.faults.append(f"odd: {told[-600:]!r}")
    if checkpoint.newest(folder) is None:
        case.faults.append("no checkpoint verifies")


def resumed(case: Case, folder: Path, reference: str, timeout: float) -> None:
    """Go on until the end, and compare."""
    job = launched(case.resumed_on, "--run", str(folder), "--resume", timeout=timeout)
    told = job.communicate(timeout=300.0)[1]
    if job.returncode:
        lines = [line for line in told.splitlines() if line.startswith("pantoum")]
        case.faults.append(f"resuming ends with {job.returncode}: {lines or told!r}")
    elif bits(folder) != reference:
        case.faults.append("other bits than those of the run that was never stopped")


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--launchers", type=int, default=1)
    parser.add_argument("--steps", type=int, default=600, help="enough for some seconds of training")
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    draw, cases = random.Random(asked.seed), list[Case]()
    shape = [*SHAPE.split(), "--steps", str(asked.steps), "--shards", "4"]
    with tempfile.TemporaryDirectory() as place:
        text = Path(place) / "text.txt"
        words = ["north", "south", "east", "west", "wind", "rain", "sun", "and", "then", "again", "\n"]
        text.write_text(" ".join(draw.choices(words, k=20_000)))
        whole = Path(place) / "whole"
        launched(1, str(text), "--run", str(whole), *shape, timeout=60.0).communicate()
        reference = bits(whole)
        hows = ["kill"] * asked.kills + ["stop"] * asked.stops + ["launcher"] * asked.launchers
        for number, how in enumerate(hows):
            case = Case(how, draw.choice([2, 4]), draw.choice([1, 2, 3, 4]))
            folder = Path(place) / f"case-{number}"
            broken_off(case, folder, text, shape, draw, asked.timeout)
            resumed(case, folder, reference, asked.timeout)
            shutil.rmtree(folder, ignore_errors=True)
            cases.append(case)
            shown = "; ".join(case.faults) or "ended, resumed, the same bits"
            line = f"{case.how} of {case.ranks}, ended in {case.seconds:.1f} s, resumed on {case.resumed_on}"
            print(f"{number + 1}/{len(hows)} {line}: {shown}", file=sys.stderr, flush=True)
    summary: dict[str, Any] = {
        "cases": len(cases),
        "without_fault": sum(not case.faults for case in cases),
        "longest_seconds": max((case.seconds for case in cases), default=0.0),
    }
    print(json.dumps({**summary, "all": [asdict(case) for case in cases]}) if asked.json else summary)
    sys.exit(any(case.faults for case in cases))


if __name__ == "__main__":
    main()
