"""Runs that are killed, stopped and resumed at random instants, compared with runs that never were.

    python benchmarks/faults/kill_resume.py [--count 500] [--progress FILE] [--kinds further] [--json]

Each case is drawn from the seed and its number, so a series can be broken off and continued. ``steps``: a
run over a text with noise in it, so that the reference rolls back at least once. Its sessions end by
SIGKILL, SIGTERM, SIGHUP, one Ctrl-C or two, after a pause by SIGSTOP in some; the saving interval (1, 5,
automatic) and the threads are drawn again for each session. In the end the model file, every array and the
state of the last checkpoint must equal the reference's, bit for bit. ``further``: so is the command cut that
trains such a run further, and given again until it has ended. ``minutes``: no crash, whole
checkpoints, and the run ends when it is resumed. ``prepare``, ``export``, ``adapt``, ``compress``, ``hub``
and ``complete`` are killed and done again: the result equals the reference's, and before that there was
nothing or the whole old one (of ``complete`` one that loads).

In every case: no traceback, no "bug in pantoum", an exit code that the signal allows, no temporary file left
after a finished command. ``--progress FILE`` has a JSON object per case, appended when it ends.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from ended_commands import Commands, Forked, Outcome, start
from kill_cases import CASE, CASES, OF_RUNS, Reference, references


def one_case(
    kind: str, number: int, seed: int, known: list[Reference], folder: Path, begin: Any = None
) -> Outcome:
    """What becomes of one drawn case; whatever is raised is a fault."""
    outcome = Outcome(kind, number)
    place = folder / f"case-{kind}-{number}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        CASE[kind](place, known, Commands(outcome, random.Random(f"{seed} {kind} {number}"), begin or start))
    except Exception as problem:
        outcome.faults.append(f"{type(problem).__name__}: {problem}")
    if outcome.same and not outcome.faults:
        shutil.rmtree(place)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=500, help="cases of each kind")
    parser.add_argument("--kinds", default="steps", help=f"of {', '.join(CASE)}, with commas")
    parser.add_argument("--progress", type=Path, help="a line per case; those in it are not done again")
    parser.add_argument("--keep", type=Path, help="folder for cases that failed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--warm", action="store_true", help="fork sessions from a process that has imported all"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    lines: list[dict[str, Any]] = []
    if arguments.warm:
        importlib.import_module("pantoum.cli.main")
        importlib.import_module("pantoum.training.run_session")
    if arguments.progress and arguments.progress.exists():
        lines = [json.loads(line) for line in arguments.progress.read_text().splitlines()]
    done = {(line["kind"], line["number"]) for line in lines}
    os.environ["PYTHONFAULTHANDLER"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        cases = CASES if OF_RUNS & set(arguments.kinds.split(",")) else 1
        known = references(Path(temporary), arguments.seed, cases)
        shutil.copytree(next(Path(temporary).glob("whole-*")), Path(temporary) / "whole-model")
        for number in range(arguments.count):
            for kind in arguments.kinds.split(","):
                if (kind, number) in done:
                    continue
                lines.append(
                    vars(
                        one_case(
                            kind, number, arguments.seed, known, folder, Forked if arguments.warm else None
                        )
                    )
                )
                if arguments.progress:
                    with arguments.progress.open("a") as file:
                        file.write(json.dumps(lines[-1]) + "\n")
    return told(lines, as_json=arguments.json)


def told(lines: list[dict[str, Any]], *, as_json: bool) -> int:
    """Print the counts; 0 if everything is the same and there was no fault."""
    result: dict[str, Any] = {
        kind: {
            "cases": sum(line["kind"] == kind for line in lines),
            "same": sum(line["kind"] == kind and line["same"] and not line["faults"] for line in lines),
        }
        for kind in dict.fromkeys(line["kind"] for line in lines)
    }
    faults = [f"{line['kind']} {line['number']}: {fault}" for line in lines for fault in line["faults"]]
    result |= {
        "ended by": dict(Counter(end for line in lines for end in line["ended"])),
        "rollbacks of the references": sum(line["rollbacks"] for line in lines),
        "faults": faults,
        "machine": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    print(
        json.dumps(result) if as_json else "\n".join(f"{name:28} {value}" for name, value in result.items())
    )
    return 0 if not faults and all(line["same"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
