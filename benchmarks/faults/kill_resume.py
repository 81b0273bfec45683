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

import itertools
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from ended_commands import Commands, Outcome
from kill_cases import CASE, CASES, OF_RUNS, Reference, references

sys.path.insert(0, str(Path(__file__).parents[1]))
from measured import Results, machine, parser


def one_case(kind: str, number: int, seed: int, known: list[Reference], folder: Path) -> Outcome:
    """What becomes of one drawn case; whatever is raised is a fault."""
    outcome = Outcome(kind, number)
    place = folder / f"case-{kind}-{number}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        CASE[kind](place, known, Commands(outcome, random.Random(f"{seed} {kind} {number}")))
    except Exception as problem:
        outcome.faults.append(f"{type(problem).__name__}: {problem}")
    if outcome.same and not outcome.faults:
        shutil.rmtree(place)
    return outcome


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--count", type=int, default=500, help="cases of each kind")
    options.add_argument("--kinds", default="steps", help=f"of {', '.join(CASE)}, with commas")
    options.add_argument("--progress", type=Path, help="a line per case; those in it are not done again")
    options.add_argument("--keep", type=Path, help="folder for cases that failed")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    results, kinds = Results(asked.progress), asked.kinds.split(",")
    done = {(line["kind"], line["number"]) for line in results.lines}
    os.environ["PYTHONFAULTHANDLER"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        folder = asked.keep or place
        folder.mkdir(exist_ok=True)
        known = references(place, asked.seed, CASES if OF_RUNS & set(kinds) else 1)
        shutil.copytree(next(place.glob("whole-*")), place / "whole-model")
        for number, kind in itertools.product(range(asked.count), kinds):
            if (kind, number) not in done:
                results.add(vars(one_case(kind, number, asked.seed, known, folder)))
    return told(results.lines, as_json=asked.json)


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
        "machine": machine(),
    }
    shown = "\n".join(f"{name:28} {value}" for name, value in result.items())
    print(json.dumps(result) if as_json else shown)
    return 0 if not faults and all(line["same"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
