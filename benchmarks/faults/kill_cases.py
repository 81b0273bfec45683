"""The cases of ``kill_resume.py``: what is cut and done again, and what must be the same in the end."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from ended_commands import Commands, start

from pantoum.formats import checkpoint
from pantoum.formats.durable import is_temporary
from pantoum.inference.loaded_model import load

__all__ = ["CASE", "CASES", "OF_RUNS", "Reference", "references"]

MOST_SESSIONS = 5
CASES, MOST_TRIES = 8, 20
SHAPE = {
    "--tokens": "bytes",
    "--valid-fraction": "0.1",
    "--batch-size": "1",
    "--seq-len": "16",
    "--hidden-size": "32",
    "--num-layers": "1",
    "--ngrams": "none",
    "--precision": "float32",
}


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


@dataclass(frozen=True)
class Reference:
    """A run that was never stopped."""

    settings: tuple[str, ...]
    fingerprint: str
    rollbacks: int
    seconds: float
    further: str
    """The steps by which it is trained further,"""
    further_fingerprint: str
    """and what that gives."""


def noisy_text(path: Path, draw: random.Random) -> None:
    """Calm text, ever longer, with three passages of noise."""
    parts = []
    for calm in (150, 400, 800):
        parts += [draw.choice(("ab", "abc", "a")) * draw.randrange(calm * 3 // 4, calm * 5 // 4)]
        parts += ["".join(chr(draw.randrange(33, 127)) for _ in range(draw.randrange(64, 120)))]
    path.write_text("".join(parts) + "ab" * 200)


def references(place: Path, seed: int, cases: int = CASES) -> list[Reference]:
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
            *("--schedule", draw.choice(("constant", "trapezoid"))),
        )
        run, began = place / f"whole-{number}", time.monotonic()
        process = start("train", *settings, "--run", str(run), "--threads", "1")
        told = process.communicate()[1]
        rollbacks = told.count("ROLLED BACK")
        wanted = 1 if len(found) % 2 == 0 or number > MOST_TRIES else 2
        if process.returncode == 0 and rollbacks >= wanted:
            seconds, further = time.monotonic() - began, str(draw.randrange(20, 60))
            known = fingerprint(run)
            copy = shutil.copytree(run, place / f"further-{number}")
            if start("train", "--run", str(copy), "--resume", "--steps", further).wait() != 0:
                continue
            found.append(Reference(settings, known, rollbacks, seconds, further, fingerprint(copy)))
            if len(found) == cases:
                return found
    raise RuntimeError("no runs with rollbacks were found")


def steps(place: Path, known: list[Reference], commands: Commands) -> None:
    """A run of steps, cut and resumed."""
    whole = commands.draw.choice(known)
    run = _cut_and_resumed(place, whole, commands)
    commands.outcome.same = fingerprint(run) == whole.fingerprint
    commands.outcome.faults += stray(run)


def further(place: Path, known: list[Reference], commands: Commands) -> None:
    """A run of steps, cut and resumed, and then trained further by a command that is cut and given again."""
    draw, outcome = commands.draw, commands.outcome
    whole = draw.choice(known)
    run = _cut_and_resumed(place, whole, commands)
    command = ["train", "--run", str(run), "--resume", "--steps", whole.further]
    for _ in range(draw.randrange(1, MOST_SESSIONS)):
        commands.cut(0.8 * whole.seconds, *command)
        if _is_done(run, whole.further):
            break
    else:
        commands.whole(*command)
    outcome.same = fingerprint(run) == whole.further_fingerprint
    outcome.faults += stray(run)


def _is_done(run: Path, further: str) -> bool:
    """Whether a command has trained a run further to its own end: given again, it would do so once more."""
    found = checkpoint.newest(run)
    if found is None or (run / ".ending").exists():
        return False
    budget = {"kind": "steps", "amount": float(further)}
    return bool(found.state["budget"] == budget and found.state["finished"])


def _cut_and_resumed(place: Path, whole: Reference, commands: Commands) -> Path:
    """A run as the reference that was cut and resumed until its end."""
    draw, run = commands.draw, place / "run"
    commands.outcome.rollbacks = whole.rollbacks

    def session() -> list[str]:
        every = draw.choice((["--checkpoint-every", "1"], ["--checkpoint-every", "5"], []))
        threads = ["--threads", str(draw.choice((1, 2)))]
        # A command that ended before it had said what it is has trained nothing, and is given again.
        begin = ["--resume"] if (run / "config.json").exists() else [*whole.settings]
        return ["train", *begin, "--run", str(run), *every, *threads]

    for _ in range(draw.randrange(1, MOST_SESSIONS)):
        commands.cut(whole.seconds, *session())
    commands.whole(*session())
    return run


def minutes(place: Path, known: list[Reference], commands: Commands) -> None:
    """A run of minutes, cut and resumed: it ends, and its checkpoints are whole at every pause."""
    draw, outcome, run = commands.draw, commands.outcome, place / "run"
    settings = list(draw.choice(known).settings)
    at = settings.index("--steps")
    settings[at : at + 2] = ["--minutes", "0.08"]
    for _ in range(draw.randrange(1, 4)):
        begin = ["--resume"] if (run / "config.json").exists() else settings
        commands.cut(5.0, "train", *begin, "--run", str(run))
        if (run / "checkpoints").exists():
            checkpoint.newest(run)  # raises if none verifies
    begin = ["--resume"] if (run / "config.json").exists() else settings
    commands.whole("train", *begin, "--run", str(run))
    found = checkpoint.newest(run)
    outcome.same = found is not None and bool(found.state["finished"])
    outcome.faults += stray(run)


def again(
    place: Path,
    commands: Commands,
    out: Path,
    *arguments: str,
    fresh: bool = False,
    check: Callable[[Path], object] | None = None,
) -> None:
    """A command that writes ``out`` is cut, over nothing (``fresh``: always) and over an old one, and done
    again. ``check`` raises where what is there is not whole; without it, that must be the old or the new."""
    draw, outcome = commands.draw, commands.outcome
    began = time.monotonic()
    commands.whole(*arguments)
    seconds, wanted = time.monotonic() - began, digest(out)
    if fresh or draw.random() < 0.5:
        remove(out)
    for _ in range(draw.randrange(1, 4)):
        before = digest(out)
        commands.cut(1.2 * seconds, *arguments)
        if out.exists() and check is not None:
            check(out)
        elif digest(out) not in (before, wanted):
            outcome.faults.append(f"{out.name} is neither the old one nor the new one")
        if fresh:
            remove(out)
    commands.whole(*arguments)
    outcome.same = digest(out) == wanted
    outcome.faults += stray(place)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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


def compress(place: Path, known: list[Reference], commands: Commands) -> None:
    """``pantoum compress --model``, and what it makes gives the text back."""
    out, text, back = place / "text.pantoum", place / "text.txt", place / "back.txt"
    noisy_text(text, commands.draw)
    model = whole_run(place, known)
    options = ("--model", model, "--overwrite", "--out")
    again(place, commands, out, "compress", str(text), *options, str(out))
    again(place, commands, back, "decompress", str(out), *options, str(back))
    if back.read_bytes() != text.read_bytes():
        commands.outcome.faults.append("the archive does not give the text back")


def hub(place: Path, known: list[Reference], commands: Commands) -> None:
    """``pantoum export --to hub``: a folder, which is there as a whole or not at all."""
    out = place / "book-hub"  # a folder that is whole is not written again
    again(
        place, commands, out, "export", whole_run(place, known), "--to", "hub", "--out", str(out), fresh=True
    )


def complete(place: Path, known: list[Reference], commands: Commands) -> None:
    """``pantoum complete --adapt --model-out``: what is there loads, whatever ended the command."""
    out, typed = place / "mine.safetensors", place / "typed.txt"
    noisy_text(typed, commands.draw)
    typed.write_text("\n".join(textwrap.wrap(typed.read_text(), 40)) + "\n")
    commands.stdin = typed
    words = ("complete", whole_run(place, known), "--adapt", "--model-out", str(out))
    again(place, commands, out, *words, check=load)


def whole_run(place: Path, known: list[Reference]) -> str:
    """The model of one of the references."""
    return str(Path(known[0].settings[0]).with_name("whole-model"))


OF_RUNS = {"steps", "further", "minutes"}
"""The kinds that are compared with many references; the others need one model."""
CASE = {
    "steps": steps,
    "further": further,
    "minutes": minutes,
    "prepare": prepare,
    "export": export,
    "adapt": adapt,
    "compress": compress,
    "hub": hub,
    "complete": complete,
}
