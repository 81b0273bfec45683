"""How far `pantoum train --minutes M` overruns on a machine that is busy with something else.

A second process keeps every processor busy (a thread each, in Python processes of their own) for as long as
the command runs, so that the command has about half of the machine, and what it measured a moment ago says
little about the next. The overrun is the time of the whole command, from its start to its end as a person
waits for it, beyond the minutes that were given. Mark: at most a tenth.

    python benchmarks/minutes.py TEXT [--minutes 1 2 5] [--busy 2] [--late] [--json]

`--late` starts the other process when three quarters of the time have passed: the training was planned on an
idle machine, and its end meets a busy one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from measured import machine

MARK = 0.10
LATE = 0.75
"""The share of the time after which ``--late`` makes the machine busy."""
PATIENCE = 3.0
"""A command that takes this many times its minutes is ended: its overrun is as good as unlimited."""


def spin() -> None:
    """Use one processor until the process is ended."""
    number = 1
    while True:
        number = number * 1_664_525 + 1_013_904_223 & 0xFFFFFFFF


@contextlib.contextmanager
def busy(processes: int, after: float) -> Iterator[None]:
    """Processes that each use one processor, from ``after`` seconds on until the block ends."""
    ended = threading.Event()
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=spin, daemon=True) for _ in range(processes)]

    def begin() -> None:
        if not ended.wait(after):
            for other in others:
                other.start()

    starter = threading.Thread(target=begin)
    starter.start()
    try:
        yield
    finally:
        ended.set()
        starter.join()
        for other in others:
            if other.pid is not None:
                other.terminate()
                other.join()


def measured(text: Path, minutes: float, processes: int, late: bool, folder: Path) -> dict[str, object]:
    """One command beside the other processes."""
    command = [sys.executable, "-m", "pantoum", "train", str(text), "--minutes", f"{minutes:g}", "--json"]
    command += ["--run", str(folder / f"run-{minutes:g}")]
    after = LATE * 60.0 * minutes if late else 0.0
    with busy(processes, after):
        began = time.perf_counter()
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60 * minutes * PATIENCE)
        seconds = time.perf_counter() - began
    if ended.returncode:
        raise SystemExit(ended.stderr)
    found = json.loads(ended.stdout)
    return {
        "minutes": minutes,
        "late": late,
        "seconds": seconds,
        "overrun": seconds / (60.0 * minutes) - 1.0,
        "steps": found["steps"],
        "scored": found["validation"]["tokens"],
        "notes": [note for note in found["notes"] if "time was over" in note],
    }


def main() -> None:
    """Measure one budget after the other."""
    parser = argparse.ArgumentParser(description="how far minutes overrun on a busy machine")
    parser.add_argument("text", type=Path, metavar="TEXT")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 2.0, 5.0])
    parser.add_argument("--busy", type=int, default=os.cpu_count(), metavar="N", help="processes beside it")
    parser.add_argument("--late", action="store_true", help="they begin after three quarters of the time")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in asked.minutes:
            found.append(measured(asked.text, minutes, asked.busy, asked.late, Path(folder)))
            if not asked.json:
                each = found[-1]
                print(
                    f"--minutes {minutes:g}: {each['seconds']:.1f} s, overrun {each['overrun']:+.1%}",
                    flush=True,
                )
    worst = max(float(str(each["overrun"])) for each in found)
    if asked.json:
        print(json.dumps({"machine": machine(), "busy": asked.busy, "mark": MARK, "runs": found}))
    else:
        print(machine())
        print(f"largest overrun {worst:+.1%}, mark {MARK:.0%}: {'kept' if worst <= MARK else 'MISSED'}")
    sys.exit(worst > MARK)


if __name__ == "__main__":
    main()
