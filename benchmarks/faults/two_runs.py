"""Two commands on one folder, folders that are replaced: nobody's bytes are touched by another.

    python benchmarks/faults/two_runs.py [--count 200] [--progress FILE] [--json]

Each case starts a run, does something to its folder at a drawn instant, and looks. ``both``: a second command
on the same folder at the same time: one is refused, and the other's run is as if nothing had been.
``replaced``: the folder is removed or renamed, another run takes its name, the first gets a signal: the
other's files stay to the byte, and the first ends with exit 1 and one line (or by the signal). ``gone``: the
folder is removed: exit 1 and one line.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ended_commands import start

from pantoum.formats import checkpoint

KINDS = ("both", "replaced", "gone")
SHAPE = {
    "--hidden-size": "16",
    "--num-layers": "1",
    "--embedding-size": "8",
    "--batch-size": "4",
    "--seq-len": "16",
    "--threads": "1",
    "--ngrams": "none",
}


class MixedUpError(Exception):
    """Something that must not be."""


def options(steps: int) -> list[str]:
    """The options of a small run."""
    return [*(word for pair in SHAPE.items() for word in pair), "--steps", str(steps)]


def require(condition: bool, words: str) -> None:
    """Raise ``MixedUpError`` unless the condition holds."""
    if not condition:
        raise MixedUpError(words)


def content(folder: Path) -> dict[str, bytes | None]:
    """Every file of a folder with its bytes; links are not followed."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in sorted(folder.rglob("*"))
    }


def begun(place: Path, text: Path, draw: random.Random, *, steps: int = 100_000) -> Any:
    """A run in ``place / "run"`` that has a checkpoint, and goes on."""
    run = place / "run"
    every = ["--checkpoint-every", draw.choice(("1", "5"))]
    process = start("train", str(text), *options(steps), *every, "--run", str(run))
    until = time.monotonic() + 120.0
    while time.monotonic() < until and not list(run.glob("checkpoints/step-*")) and process.poll() is None:
        time.sleep(0.01)
    time.sleep(draw.uniform(0.0, 0.3))
    return process


def ended(process: Any, codes: set[int]) -> str:
    """The last line of a command that ends, with one of these exit codes and no traceback."""
    _, told = process.communicate(timeout=120)
    last = (told.strip().splitlines() or [""])[-1]
    require("Traceback" not in told and "bug in pantoum" not in told, f"told {last}")
    require(process.returncode in codes, f"exit {process.returncode}: {last}")
    return last


def halt(process: Any) -> None:
    """Stop a process, and wait until all its threads stand still."""
    process.send_signal(signal.SIGSTOP)
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        try:
            states = [path.read_text().rpartition(")")[2].split()[0] for path in threads(process.pid)]
        except OSError:
            return  # it has ended
        if all(state in "TZX" for state in states):
            return
        time.sleep(0.005)


def threads(pid: int) -> list[Path]:
    """What the system says of each thread (Linux)."""
    return list(Path(f"/proc/{pid}/task").glob("*/stat"))


def other_run(folder: Path, text: Path) -> None:
    """A whole run of its own."""
    process = start("train", str(text), *options(9), "--seed", "5", "--run", str(folder))
    ended(process, {0, 143})


def both(place: Path, text: Path, draw: random.Random) -> None:
    """A second command on a folder in use."""
    process = begun(place, text, draw)
    second = start("train", "--resume", "--run", str(place / "run"))
    line = ended(second, {1})
    require("in use by" in line, line)
    require(process.poll() is None, "the first has ended")
    process.send_signal(signal.SIGTERM)
    ended(process, {0, 143})
    third = start("train", "--resume", "--run", str(place / "run"), "--stop-after", "1")
    ended(third, {0})


def replaced(place: Path, text: Path, draw: random.Random) -> None:
    """The folder's name goes to another run."""
    process, run, moved = begun(place, text, draw), place / "run", place / "moved"
    halt(process)
    how = draw.choice(("removed", "renamed"))
    run.rename(moved)
    if how == "removed":
        shutil.rmtree(moved)
    if draw.random() < 0.3:  # it may go on while the other begins
        process.send_signal(signal.SIGCONT)
    other_run(run, text)
    before = content(run)
    name = draw.choice(("SIGTERM", "SIGHUP", "SIGINT", "SIGCONT"))
    process.send_signal(getattr(signal, name))
    process.send_signal(signal.SIGCONT)
    line = ended(process, {1, -15, -1, 130, 143, 129})
    require(process.returncode != 1 or "removed or replaced" in line, line)
    require(content(run) == before, f"the other's files have changed after {name}, {how}")
    resumed = start("train", "--resume", "--steps", "3", "--run", str(run))
    ended(resumed, {0})
    if how == "renamed":
        require(checkpoint.newest(moved) is not None, "the renamed run has no checkpoint")
        ended(start("train", "--resume", "--stop-after", "1", "--run", str(moved)), {0})


def gone(place: Path, text: Path, draw: random.Random) -> None:
    """The folder is removed."""
    process, run = begun(place, text, draw), place / "run"
    halt(process)
    shutil.rmtree(run)
    process.send_signal(draw.choice((signal.SIGTERM, signal.SIGHUP, signal.SIGCONT)))
    process.send_signal(signal.SIGCONT)
    line = ended(process, {1})
    require("removed or replaced" in line, line)
    require(not run.exists(), "the folder was made again")


CASES = {"both": both, "replaced": replaced, "gone": gone}


def one_case(number: int, seed: int, place: Path, text: Path) -> dict[str, Any]:
    """What becomes of one drawn case."""
    draw = random.Random(f"{seed} {number}")
    kind, fault = KINDS[number % len(KINDS)], None
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        CASES[kind](place, text, draw)
    except Exception as problem:
        fault = f"{type(problem).__name__}: {problem}"
    return {"number": number, "kind": kind, "fault": fault}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--progress", type=Path, help="a line per case; those in it are not done again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    lines: list[dict[str, Any]] = []
    if arguments.progress and arguments.progress.exists():
        lines = [json.loads(line) for line in arguments.progress.read_text().splitlines()]
    done = {line["number"] for line in lines}
    with tempfile.TemporaryDirectory() as temporary:
        text = Path(temporary) / "text.txt"
        draw = random.Random(3)
        words = ["north", "south", "east", "west", "wind", "rain", "sun", "and", "then", "again"]
        text.write_text("".join(" ".join(draw.choices(words, k=6)) + "\n" for _ in range(400)))
        for number in range(arguments.count):
            if number not in done:
                lines.append(one_case(number, arguments.seed, Path(temporary) / "case", text))
                if arguments.progress:
                    with arguments.progress.open("a") as file:
                        file.write(json.dumps(lines[-1]) + "\n")
    faults = [line for line in lines if line["fault"]]
    result = {
        "cases": {kind: sum(line["kind"] == kind for line in lines) for kind in KINDS},
        "untouched": len(lines) - len(faults),
        "faults": faults,
    }
    print(json.dumps(result) if arguments.json else "\n".join(f"{n:10} {v}" for n, v in result.items()))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
