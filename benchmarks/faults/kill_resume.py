"""Runs that are killed, stopped and resumed at random instants, compared with runs that never were.

    python benchmarks/faults/kill_resume.py [--count 500] [--progress FILE] [--kinds steps] [--json]

Each case is drawn from the seed and its number, so a series can be broken off and continued. ``steps``: a
run over a text with noise in it, so that the reference rolls back at least once. Its sessions end by
SIGKILL, SIGTERM, SIGHUP, one Ctrl-C or two, after a pause by SIGSTOP in some; the saving interval (1, 5,
automatic) and the threads are drawn again for each session. In the end the model file, every array and the
state of the last checkpoint must equal the reference's, bit for bit. ``minutes``: no crash, whole
checkpoints, and the run ends when it is resumed. ``prepare``, ``export``, ``adapt`` are killed and done
again: the result equals the reference's, and before that there was nothing or the whole old one.

In every case: no traceback, no "bug in pantoum", an exit code that the signal allows, no temporary file left
after a finished command. ``--progress FILE`` has a JSON object per case, appended when it ends.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.__main__ import entry
from pantoum.formats import checkpoint
from pantoum.formats.durable import is_temporary

SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGINT twice")
CODES = {
    "SIGKILL": {-9},
    "SIGTERM": {0, 143, -15},
    "SIGHUP": {0, 129, -1},
    "SIGINT": {130, -2},
    "SIGINT twice": {130, -2},
}
"""Exit codes after a signal; 0 is also that of a command which ended before it."""
KINDS = ("steps", "minutes", "prepare", "export", "adapt")
MOST_SESSIONS = 5
CASES, MOST_TRIES = 8, 20
SHAPE = {
    "--tokens": "bytes",
    "--valid-fraction": "0.1",
    "--batch-size": "1",
    "--seq-len": "16",
    "--hidden-size": "32",
    "--num-layers": "1",
    "--schedule": "constant",
    "--ngrams": "none",
    "--precision": "float32",
}


@dataclass
class Outcome:
    """What became of one case."""

    kind: str
    number: int
    same: bool = False
    rollbacks: int = 0
    ended: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Commands:
    """Starts ``pantoum`` and ends it at a drawn instant."""

    def __init__(self, outcome: Outcome, draw: random.Random, start: Any) -> None:
        self.outcome, self.draw, self.start = outcome, draw, start

    def whole(self, *arguments: str, seconds: float = 600.0) -> str:
        """Run to the end; what it told on stderr."""
        process = self.start(*arguments)
        _, told = process.communicate(timeout=seconds)
        self._judge(process.returncode, {0}, told, arguments)
        return told

    def cut(self, seconds: float, *arguments: str) -> bool:
        """End it after some time; whether it was still running."""
        how, process = self.draw.choice(SIGNALS), self.start(*arguments)
        time.sleep(self.draw.uniform(0.0, seconds))
        if self.draw.random() < 0.2:
            process.send_signal(signal.SIGSTOP)
            time.sleep(self.draw.uniform(0.0, 0.3))
            process.send_signal(signal.SIGCONT)
        ran = process.poll() is None
        name, *twice = how.split()
        process.send_signal(getattr(signal, name))
        if twice:
            time.sleep(self.draw.uniform(0.0, 0.05))
            process.send_signal(getattr(signal, name))
        _, told = process.communicate(timeout=600)
        self._judge(process.returncode, CODES[how] | {0}, told, arguments)
        self.outcome.ended.append(how if ran else "ended before")
        return ran

    def _judge(self, code: int, allowed: set[int], told: str, arguments: tuple[str, ...]) -> None:
        odd = "Traceback" in told or "bug in pantoum" in told
        if code not in allowed or odd:
            last = (told.strip().splitlines() or [""])[-1]
            self.outcome.faults.append(f"pantoum {' '.join(arguments)}: exit {code}: {last}")


def start(*arguments: str) -> subprocess.Popen[str]:
    """``pantoum`` with these arguments, deaf to what ends this process's terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "pantoum", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )


class Forked:
    """``pantoum`` in a process forked from this one, which has imported everything: as ``start``, faster."""

    def __init__(self, *arguments: str) -> None:
        self.returncode: int | None = None
        self._told, path = tempfile.mkstemp()
        Path(path).unlink()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(self._run(arguments))

    def _run(self, arguments: tuple[str, ...]) -> int:
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for number, target in enumerate((nothing, nothing, self._told)):
                os.dup2(target, number)
            sys.argv = ["pantoum", *arguments]
            entry()
        except SystemExit as end:
            return int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
        return 1

    def poll(self) -> int | None:
        """The exit code, once there is one."""
        if self.returncode is None and (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.returncode = os.waitstatus_to_exitcode(found[1])
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float) -> tuple[None, str]:
        """Wait for the end; what was told on stderr."""
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"no end after {timeout:g} s")
            time.sleep(0.005)
        with os.fdopen(self._told, "rb") as file:
            file.seek(0)
            return None, file.read().decode(errors="replace")


# What is compared. --------------------------------------------------------------------------------------


def fingerprint(run: Path) -> str:
    """SHA-256 of the model file, and of the arrays and the timeless state of the newest checkpoint."""
    hasher = hashlib.sha256((run / "model.safetensors").read_bytes())
    found = checkpoint.newest(run)
    if found is None:
        raise FileNotFoundError(f"{run} has no checkpoint")
    for name in sorted(found.arrays):
        hasher.update(name.encode() + np.ascontiguousarray(found.arrays[name]).tobytes())
    own = ("seconds", "phases", "run")
    state = {name: value for name, value in found.state.items() if name not in own}
    hasher.update(json.dumps(state, sort_keys=True).encode())
    return hasher.hexdigest()


def digest(path: Path) -> str | None:
    """SHA-256 of a file, or of the files of a folder with their names; ``None`` if it is not there."""
    if not path.exists():
        return None
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    hasher = hashlib.sha256()
    for each in files:
        if each.name != ".lock":
            hasher.update(each.name.encode() + each.read_bytes())
    return hasher.hexdigest()


def stray(place: Path) -> list[str]:
    """Temporary files that are left."""
    return [f"{path.name} is left" for path in place.rglob("*") if is_temporary(path.name)]


# The cases. ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """A run that was never stopped."""

    settings: tuple[str, ...]
    fingerprint: str
    rollbacks: int
    seconds: float


def noisy_text(path: Path, draw: random.Random) -> None:
    """Calm text, ever longer, with three passages of noise."""
    parts = []
    for calm in (150, 400, 800):
        parts += [draw.choice(("ab", "abc", "a")) * draw.randrange(calm * 3 // 4, calm * 5 // 4)]
        parts += ["".join(chr(draw.randrange(33, 127)) for _ in range(draw.randrange(64, 120)))]
    path.write_text("".join(parts) + "ab" * 200)


def references(place: Path, seed: int) -> list[Reference]:
    """Drawn runs that roll back and recover, half of them more than once."""
    found: list[Reference] = []
    for number in range(1000):
        draw, text = random.Random(f"{seed} reference {number}"), place / f"text-{number}.txt"
        noisy_text(text, draw)
        settings = (
            *(str(text), *chain.from_iterable(SHAPE.items())),
            *("--steps", str(draw.randrange(120, 260)), "--seed", str(number)),
            *("--learning-rate", str(draw.choice((0.015, 0.025, 0.06, 0.1)))),
            *("--cell", draw.choice(("gru", "lstm", "rnn", "mingru"))),
            *("--optimizer", draw.choice(("adamw", "muon"))),
        )
        run, began = place / f"whole-{number}", time.monotonic()
        process = start("train", *settings, "--run", str(run), "--threads", "1")
        told = process.communicate()[1]
        rollbacks = told.count("ROLLED BACK")
        wanted = 1 if len(found) % 2 == 0 or number > MOST_TRIES else 2
        if process.returncode == 0 and rollbacks >= wanted:
            seconds = time.monotonic() - began
            found.append(Reference(settings, fingerprint(run), rollbacks, seconds))
            if len(found) == CASES:
                return found
    raise RuntimeError("no runs with rollbacks were found")


def steps(place: Path, known: list[Reference], commands: Commands) -> None:
    """A run of steps, cut and resumed."""
    draw, outcome = commands.draw, commands.outcome
    whole, run = draw.choice(known), place / "run"
    outcome.rollbacks = whole.rollbacks

    def session() -> list[str]:
        every = draw.choice((["--checkpoint-every", "1"], ["--checkpoint-every", "5"], []))
        threads = ["--threads", str(draw.choice((1, 2)))]
        if run.exists() and not (run / "config.json").exists():
            shutil.rmtree(run)  # ended before it had said what it is: nothing was trained
        begin = ["--resume"] if run.exists() else [*whole.settings]
        return ["train", *begin, "--run", str(run), *every, *threads]

    for _ in range(draw.randrange(1, MOST_SESSIONS)):
        commands.cut((0.4 if commands.start is Forked else 1.0) * whole.seconds, *session())
    commands.whole(*session())
    outcome.same = fingerprint(run) == whole.fingerprint
    outcome.faults += stray(run)


def minutes(place: Path, known: list[Reference], commands: Commands) -> None:
    """A run of minutes, cut and resumed: it ends, and its checkpoints are whole at every pause."""
    draw, outcome, run = commands.draw, commands.outcome, place / "run"
    settings = list(draw.choice(known).settings)
    at = settings.index("--steps")
    settings[at : at + 2] = ["--minutes", "0.08"]
    for _ in range(draw.randrange(1, 4)):
        if run.exists() and not (run / "config.json").exists():
            shutil.rmtree(run)
        begin = ["--resume"] if run.exists() else settings
        commands.cut(5.0, "train", *begin, "--run", str(run))
        if (run / "checkpoints").exists():
            checkpoint.newest(run)  # raises if none verifies
    if run.exists() and not (run / "config.json").exists():
        shutil.rmtree(run)
    commands.whole("train", *(["--resume"] if run.exists() else settings), "--run", str(run))
    found = checkpoint.newest(run)
    outcome.same = found is not None and bool(found.state["finished"])
    outcome.faults += stray(run)


def again(place: Path, commands: Commands, out: Path, *arguments: str) -> None:
    """A command that writes ``out`` is cut, over nothing and over an old one, and done again."""
    draw, outcome = commands.draw, commands.outcome
    began = time.monotonic()
    commands.whole(*arguments)
    seconds, wanted = time.monotonic() - began, digest(out)
    if draw.random() < 0.5:
        (shutil.rmtree if out.is_dir() else Path.unlink)(out)
    before = digest(out)
    for _ in range(draw.randrange(1, 4)):
        commands.cut(1.2 * seconds, *arguments)
        if out.is_file() and digest(out) not in (before, wanted):
            outcome.faults.append(f"{out.name} is neither the old one nor the new one")
    commands.whole(*arguments)
    outcome.same = digest(out) == wanted
    outcome.faults += stray(place) if outcome.kind == "prepare" else []


def prepare(place: Path, known: list[Reference], commands: Commands) -> None:
    """``pantoum prepare``."""
    draw, text = commands.draw, place / "text.txt"
    words = [draw.choice(("north", "south", "wind", "rain", "and", "then")) for _ in range(200_000)]
    text.write_text(" ".join(words))
    out = place / "prepared"
    again(place, commands, out, "prepare", str(text), "--out", str(out), "--tokens", "words")


def export(place: Path, known: list[Reference], commands: Commands) -> None:
    """``pantoum export --to int8``."""
    out = place / "small.safetensors"
    again(place, commands, out, "export", whole_run(place, known), "--to", "int8", "--out", str(out))


def adapt(place: Path, known: list[Reference], commands: Commands) -> None:
    """``pantoum evaluate --adapt --model-out``."""
    out, text = place / "adapted.safetensors", place / "text.txt"
    noisy_text(text, commands.draw)
    model = whole_run(place, known)
    again(place, commands, out, "evaluate", model, str(text), "--adapt", "--model-out", str(out))


def whole_run(place: Path, known: list[Reference]) -> str:
    """The model of one of the references."""
    return str(Path(known[0].settings[0]).with_name("whole-model"))


CASE = {"steps": steps, "minutes": minutes, "prepare": prepare, "export": export, "adapt": adapt}


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
    parser.add_argument("--kinds", default="steps", help=f"of {', '.join(KINDS)}, with commas")
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
        importlib.import_module("pantoum.training.loop")
    if arguments.progress and arguments.progress.exists():
        lines = [json.loads(line) for line in arguments.progress.read_text().splitlines()]
    done = {(line["kind"], line["number"]) for line in lines}
    os.environ["PYTHONFAULTHANDLER"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        known = references(Path(temporary), arguments.seed)
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
