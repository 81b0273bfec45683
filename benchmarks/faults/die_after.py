"""Training that dies after its n-th system call, n swept over all of them, and is done again.

    python benchmarks/faults/die_after.py [--kinds further,words] [--at spread:20] [--progress FILE] [--json]

A kind is a command and what came before it: a new run, one that is resumed, that rolls back, that is trained
further, that gets a longer budget, that starts from another model, an ensemble, documents, words. Its process
is killed when so many calls of ``durable.system`` are done, the same command is given again (``--resume``
for a new run that has a ``config.json``), and then everything must be as if nothing had happened: the bytes
of the model file, the arrays and the state of the last checkpoint, the budget and the commands in
``config.json``, and the names of all files, those in the folder for temporary files among them.

Commands run in processes forked from this one, which has imported everything. ``--at`` takes fewer calls;
``--progress FILE`` has a JSON object per case, and what is in it is not done again.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kill_cases import fingerprint
from storage_shim import CALLS

sys.path.insert(0, str(Path(__file__).parents[1]))
from measured import Results, parser

from pantoum.__main__ import entry
from pantoum.formats import durable
from pantoum.formats.system_calls import System
from pantoum.training import reporting

OF_CONFIG = ("budget", "resumed_by", "settings", "texts")
TINY = "--hidden-size 6 --num-layers 1 --batch-size 2 --seq-len 8 --precision float32"
NOISY = (
    "--tokens bytes --valid-fraction 0 --batch-size 1 --seq-len 16 --hidden-size 32 --num-layers 1 "
    "--schedule constant --ngrams none --learning-rate 0.025 --seed 1 --precision float32"
)


@dataclass(frozen=True)
class Kind:
    """A command of ``pantoum train`` on the run ``run``, and the commands before it."""

    command: str
    before: tuple[str, ...] = ()
    text: str = "words.txt"
    told: str = ""
    """What the command says, so that the case is what it is meant to be."""


KINDS = {
    "fresh": Kind(f"--steps 3 --schedule trapezoid {TINY}"),
    "resumed": Kind("--resume", (f"--steps 5 --stop-after 3 {TINY}",), told="continuing from step 3"),
    "rolled back": Kind(
        "--resume", (f"--steps 60 --stop-after 38 {NOISY}",), text="noise.txt", told="ROLLED BACK"
    ),
    "further": Kind(
        "--resume --steps 2",
        (f"--steps 5 --schedule trapezoid {TINY}",),
        told="where the rate began to fall",
    ),
    "further from the end": Kind(
        "--resume --steps 3", (f"--steps 3 --schedule linear {TINY}",), told="continuing from step 3"
    ),
    "longer": Kind(
        "--resume --steps 7",
        (f"--steps 5 --stop-after 4 --schedule trapezoid {TINY}",),
        told="where the rate began to fall",
    ),
    "from": Kind(
        "--from source --steps 2 --precision float32", (f"--steps 2 {TINY} --run source",), told="tokenizer"
    ),
    "members": Kind(f"--steps 2 --members 2 {TINY}"),
    "documents": Kind(f"--steps 2 --documents lines {TINY}", text="lines.txt"),
    "words": Kind(f"--steps 2 --tokens words {TINY}"),
}


class Mortal:
    """``durable.system`` of a process that is killed when so many calls are done; ``None``: of one that is
    not."""

    def __init__(self, calls: int | None) -> None:
        self.done: list[str] = []
        """The names of the calls."""
        self._last, self._system, self._lock = calls, System(), threading.Lock()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._system, name)
        if name not in CALLS:
            return real

        def call(*arguments: Any) -> Any:
            with self._lock:  # of two threads, one may not be in the middle of a call
                if len(self.done) == self._last:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.done.append(name)
                return real(*arguments)

        return call


class Dying:
    """``pantoum`` in the folder ``place``, in a fork of this process that dies after so many calls."""

    def __init__(self, place: Path, calls: int | None, *arguments: str) -> None:
        self._told, path = tempfile.mkstemp()
        Path(path).unlink()
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid == 0:
            os._exit(self._run(place, calls, arguments))

    def _run(self, place: Path, calls: int | None, arguments: tuple[str, ...]) -> int:
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for number, target in enumerate((nothing, nothing, self._told)):
                os.dup2(target, number)
            os.chdir(place)
            tempfile.tempdir = str(place / "tmp")
            # What is written by the clock would be other calls on a busy machine.
            reporting.LEAST_PAUSE = reporting.MOST_PAUSE = reporting.PAGE_PAUSE = math.inf
            durable.system = Mortal(calls)  # type: ignore[assignment]
            sys.argv = ["pantoum", *arguments]
            entry()
        except SystemExit as end:
            if calls is None:
                (place / "calls").write_text(" ".join(durable.system.done))  # type: ignore[attr-defined]
            return int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
        return 1

    def ended(self) -> tuple[int, str]:
        """The exit code, and what was told on stderr."""
        status = os.waitpid(self._pid, 0)[1]
        with os.fdopen(self._told, "rb") as file:
            file.seek(0)
            return os.waitstatus_to_exitcode(status), file.read().decode(errors="replace")


def train(place: Path, arguments: str, text: str, calls: int | None = None) -> tuple[int, str]:
    """The exit code of a command, and what it told on stderr."""
    named = () if "--resume" in arguments else (text,)
    run = () if "--run" in arguments else ("--run", "run")
    return Dying(place, calls, "train", *named, *arguments.split(), *run, "--threads", "1").ended()


def surely(place: Path, arguments: str, text: str) -> str:
    """What a command told that must succeed."""
    code, told = train(place, arguments, text)
    if code != 0:
        last = (told.strip().splitlines() or [""])[-1]
        raise RuntimeError(f"train {arguments}: exit {code}: {last}")
    return told


def prepare(place: Path, kind: Kind) -> None:
    """The texts, and what comes before the command."""
    (place / "tmp").mkdir(parents=True)
    draw = random.Random(3)
    drawn = draw.choices(("north", "south", "wind", "rain", "and", "then", "again"), k=400)
    (place / "words.txt").write_text(" ".join(drawn))
    (place / "lines.txt").write_text("\n".join(drawn))
    draw = random.Random(3)
    noise = ["".join(chr(draw.randrange(33, 127)) for _ in range(80)) for _ in range(2)]
    (place / "noise.txt").write_text("ab" * 336 + noise[0] + "ab" * 208 + noise[1] + "ab" * 320)
    for arguments in kind.before:
        surely(place, arguments, kind.text)


def names(place: Path) -> set[str]:
    """The names of everything there, but for the list of this script."""
    return {str(path.relative_to(place)) for path in place.rglob("*")} - {"calls"}


def config(place: Path) -> dict[str, Any]:
    known = json.loads((place / "run" / "config.json").read_text())
    return {name: known.get(name) for name in OF_CONFIG}


@dataclass(frozen=True)
class Undisturbed:
    """What the command gives that nothing happens to, and the calls that it makes."""

    calls: list[str]
    fingerprint: str
    names: set[str]
    config: dict[str, Any]


def undisturbed(place: Path, kind: Kind) -> Undisturbed:
    """Run the command undisturbed."""
    told = surely(place, kind.command, kind.text)
    if kind.told not in told:
        raise RuntimeError(f"train {kind.command}: not a word of {kind.told!r}:\n{told}")
    calls = (place / "calls").read_text().split()
    return Undisturbed(calls, fingerprint(place / "run"), names(place), config(place))


def one_case(place: Path, kind: Kind, calls: int, known: Undisturbed) -> str | None:
    """What is wrong after a death when ``calls`` are done and the command was given again."""
    code, told = train(place, kind.command, kind.text, calls)
    if code != -signal.SIGKILL:
        return f"exit {code} in place of its death: {told.strip()[-200:]}"
    begun = (place / "run" / "config.json").exists() and "--resume" not in kind.command
    try:
        surely(place, "--resume" if begun else kind.command, kind.text)
    except RuntimeError as problem:
        return str(problem)
    if odd := names(place) ^ known.names:
        return f"other names than those of the run that did not die: {sorted(odd)}"
    if fingerprint(place / "run") != known.fingerprint:
        return "another model, or another last checkpoint"
    if config(place) != known.config:
        return f"config.json says {config(place)}"
    return None


def chosen(calls: Sequence[str], at: str) -> list[int]:
    """The numbers of calls after which to die. Renames are where something becomes visible at once, so
    ``renames:N`` stands before and after each of the first N."""
    how, _, count = at.partition(":")
    if how == "renames":
        found = [number for number, call in enumerate(calls) if call == "rename"][: int(count)]
        return sorted({*found, *(number + 1 for number in found)})
    return list(range(0, len(calls), max(1, len(calls) // int(count)) if how == "spread" else 1))


def sweep(name: str, place: Path, at: str, results: Results) -> None:
    """All cases of a kind that are not done."""
    kind, done = KINDS[name], {case["calls"] for case in results.lines if case["kind"] == name}
    prepare(place / "prepared", kind)
    shutil.copytree(place / "prepared", place / "whole")
    known = undisturbed(place / "whole", kind)
    for calls in chosen(known.calls, at):
        if calls in done:
            continue
        shutil.copytree(place / "prepared", place / "case")
        fault = one_case(place / "case", kind, calls, known)
        shutil.rmtree(place / "case")
        results.add({"kind": name, "calls": calls, "of": len(known.calls), "fault": fault})


def result_of(cases: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The counts, and what was wrong."""
    kinds = dict.fromkeys(case["kind"] for case in cases)
    return {
        "kinds": {
            kind: {
                "calls": max(case["of"] for case in cases if case["kind"] == kind),
                "deaths": sum(case["kind"] == kind for case in cases),
                "same": sum(case["kind"] == kind and case["fault"] is None for case in cases),
            }
            for kind in kinds
        },
        "faults": [
            f"{case['kind']}, after {case['calls']} calls: {case['fault']}"
            for case in cases
            if case["fault"] is not None
        ],
        "seconds": round(seconds, 1),
    }


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--kinds", default=",".join(KINDS), help="some of them, with commas")
    options.add_argument("--at", default="all", help="all calls, spread:N of them, or around renames:N")
    options.add_argument("--progress", type=Path, help="a line per case; those in it are not done again")
    asked = options.parse_args()
    for module in ("cli.main", "cli.running", "cli.train", "training.run_session"):
        importlib.import_module(f"pantoum.{module}")
    results, began = Results(asked.progress), time.perf_counter()
    for kind in asked.kinds.split(","):
        with tempfile.TemporaryDirectory() as place:
            sweep(kind, Path(place).resolve(), asked.at, results)
    result = result_of(results.lines, time.perf_counter() - began)
    lines = (f"{name:10} {value}" for name, value in result.items())
    print(json.dumps(result) if asked.json else "\n".join(lines))
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
