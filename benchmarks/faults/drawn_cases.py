"""Cases that are drawn from a seed and a number, many in each of several processes: what their scripts share.

A script that is called with ``--worker`` does some cases and tells of each in two lines of JSON (``Teller``).
``in_processes`` starts such workers one after the other, counts, and goes on behind a case that ended its
process. A case is repeated from its seed and number: ``--first N --count 1``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TextIO

__all__ = ["Teller", "in_processes", "keep", "parser", "taken"]

MOST_FAULTS = 200
"""That are printed."""


def parser(doc: str | None, count: int, kinds: Collection[str]) -> argparse.ArgumentParser:
    """The options that all have."""
    formatter = argparse.RawDescriptionHelpFormatter
    found = argparse.ArgumentParser(description=doc, formatter_class=formatter, allow_abbrev=False)
    found.add_argument("--count", type=int, default=count)
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--first", type=int, default=0, help="number of the first case")
    found.add_argument("--kind", choices=tuple(kinds), help="only this kind")
    found.add_argument("--keep", type=Path, help="a folder for copies of the files that had a fault")
    found.add_argument("--json", action="store_true", help="print one JSON object in one line")
    found.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return found


class Teller:
    """What a worker says, on the stdout that it began with."""

    def __init__(self) -> None:
        self._out: TextIO = os.fdopen(os.dup(1), "w", buffering=1)

    def begins(self, number: int, words: str) -> None:
        """A case begins; the words are shown if it ends the process."""
        print(json.dumps({"number": number, "begins": words}), file=self._out)

    def ended(self, number: int, counts: dict[str, int], faults: list[Any], **most: float) -> None:
        """What came of it: what is counted, what is wrong, and figures of which the largest is told."""
        line = {"number": number, "counts": counts, "faults": faults, "most": most}
        print(json.dumps(line), file=self._out)


def in_processes(script: str, asked: argparse.Namespace, batch: int, *more: str, **environment: str) -> int:
    """Do all cases, so many in a process, print the result, and return the exit code."""
    counts, most, faults = Counter[str](), dict[str, float](), list[Any]()
    began, number, end = time.perf_counter(), asked.first, asked.first + asked.count
    options = [
        f"--{name}={value}"
        for name in ("seed", "kind", "keep")
        if (value := getattr(asked, name)) is not None
    ]
    while number < end:
        cases = [f"--first={number}", f"--count={min(batch, end - number)}"]
        command = [sys.executable, script, "--worker", *cases, *options, *more]
        with tempfile.TemporaryFile("w+") as told:  # no pipe: nobody reads it before the end
            process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=told, text=True
            )
            assert process.stdout is not None
            begun = None
            for line in process.stdout:
                said = json.loads(line)
                if "begins" in said:
                    begun = said
                    continue
                number, begun = said["number"] + 1, None
                counts.update(said["counts"])
                faults += ({"number": said["number"], "what": what} for what in said["faults"])
                for name, figure in said["most"].items():
                    most[name] = max(most.get(name, 0.0), figure)
            if code := process.wait():
                told.seek(0)
                what = {"what": f"crash: exit {code}", "detail": told.read()[-1600:]}
                if begun is None:
                    raise SystemExit(f"the process ended between its cases: {what}")
                faults.append({**begun, **what})
                number = begun["number"] + 1
        print(f"{number - asked.first}: {dict(counts)}, {len(faults)} faults", file=sys.stderr, flush=True)
    result: dict[str, Any] = {"cases": asked.count, "seed": asked.seed, "first": asked.first}
    result |= {"seconds": round(time.perf_counter() - began, 1), "counts": dict(sorted(counts.items()))}
    result |= {"most": most, "faults": faults[:MOST_FAULTS]}
    print(json.dumps(result, indent=None if asked.json else 1))
    return 1 if faults else 0


def keep(folder: Path | None, name: str, files: Iterable[Path]) -> None:
    """Copy the files of a case that had a fault, if that is wanted."""
    if folder is not None:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, folder / name)


def taken() -> tuple[float, int, int]:
    """Processor time so far, and the most memory that this process, and one that it has read by, has had."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, own.ru_maxrss * unit, others.ru_maxrss * unit
