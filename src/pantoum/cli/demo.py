"""``pantoum demo``: a model learns the source of Python's own standard library, and writes some.

Every machine that runs pantoum has this text, so the demo needs no network. The files depend on the Python
version alone: the small modules at the top of the library, in the order of their names. There are few enough
that a machine that does other work beside still reads them often, and of so short a validation text the
compressors xz and bz2 make less than the model, which has read such modules before.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from pantoum.cli.options import reader
from pantoum.cli.output import Output
from pantoum.cli.train import end
from pantoum.config import TrainSettings, declared
from pantoum.config.plain import quoted
from pantoum.errors import TextError

if TYPE_CHECKING:
    from pantoum import Run

EXAMPLES = """examples:
  pantoum demo --minutes 1
"""
LARGEST_FILE = 16_000
PROMPT = "def read_"
HOW = f" --prompt {quoted(PROMPT)} --min-p none"
"""After some spaces of an indentation the next one has most of the probability: with a floor on that of the
others many texts would be spaces."""
WORD = re.compile(r"[A-Za-z]{2}")
LINES = 10
LINE_PROMPTS, FEW, DRAWN = ("# XXX ", '"""Return '), 3, 12
"""Beginnings of lines, how many lines are shown after each, and out of how many: those with more than three
words."""
WIDE, HIGH = 72, 10
"""The picture of the curve, in characters."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--minutes",
        type=reader(declared(TrainSettings)["minutes"]),
        default=2.0,
        metavar="M",
        help="minutes of wall-clock time (default: 2)",
    )
    parser.add_argument(
        "--run", default=None, metavar="DIR", help="run folder (default: runs/demo, or runs/demo-2 and so on)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def library_source(library: Path) -> list[str]:
    """The files to read: the modules at the top of the library of at most ``LARGEST_FILE`` bytes, in ASCII
    (two minutes are too short for symbols that occur once)."""
    small = [path for path in sorted(library.glob("*.py")) if 0 < path.stat().st_size <= LARGEST_FILE]
    texts = [str(path) for path in small if path.read_bytes().isascii()]
    if not texts:
        raise TextError(
            f"there is no Python source in {str(library)!r}: the demo reads the standard library; "
            "train on your own text with `pantoum train TEXT`"
        )
    return texts


def free_folder(name: str) -> str:
    """The first of ``name``, ``name-2``, ``name-3``, ... that does not exist."""
    number = 1
    while os.path.lexists(free := name if number == 1 else f"{name}-{number}"):
        number += 1
    return free


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Train, comment the result, show a sample, and say what to try next."""
    folder = arguments.run
    TrainSettings(minutes=arguments.minutes, run=folder)  # refused before any file is read
    library = Path(sysconfig.get_paths()["stdlib"])
    texts = library_source(library)

    from pantoum import api

    size = sum(Path(text).stat().st_size for text in texts)
    output.say(
        f"pantoum trains a model on {len(texts)} files of Python's library ({size / 1e6:.1f} MB) for "
        f"{arguments.minutes:g} minutes, then shows what it writes"
    )
    settings = {"minutes": arguments.minutes, "run": folder or free_folder("runs/demo")}
    typed = arguments.typed, arguments.started
    done = api.train_typed(texts, settings, typed, progress=not output.quiet)
    if arguments.json or done.stopped or done.rank:
        return end(done, str(done.folder), arguments.json, output, HOW)
    return end(done, _why_not_better(done) + _curve(done, output) + _texts(done), False, output, HOW)


def _why_not_better(done: Run) -> str:
    """A sentence where compressors do better than the model; empty elsewhere."""
    found, epochs = done.evaluation, done.history[-1].epoch
    bits = None if found is None else found.bits_per_byte
    others = () if found is None else (found.xz_bits_per_byte, found.bz2_bits_per_byte)
    if bits is None or all(other is not None and bits < other for other in others):
        return ""
    return (
        f"The model does not beat both compressors yet: there was time to read the text {epochs:.1f} times. "
        "On a less busy machine, or with `--minutes 5`, it does better.\n\n"
    )


def _curve(done: Run, output: Output) -> str:
    """The validation and training losses over time, where no live view has left them on the screen."""
    from rich.console import Console

    from pantoum.report import loss
    from pantoum.report.live import possible
    from pantoum.report.plot import plot
    from pantoum.report.story import read

    if not output.unicode or (not output.quiet and possible(Console(file=sys.stderr))):
        return ""
    rows = plot(loss.by_time(read(done.folder).history, unit="character"), WIDE, HIGH)
    lines = ["".join(part for part, _ in row).rstrip() for row in rows]
    return "\n".join(
        ["Nats per character over time, of training (solid) and validation (dotted):", *lines, "\n"]
    )


def _texts(done: Run) -> str:
    """What the model writes: a function, remarks, and what functions return."""
    from pantoum.report.escape import visible

    model = done.model
    function = visible(PROMPT + model.generate(PROMPT, length=500, seed=1, min_p=None)).splitlines()
    parts = [(PROMPT, [line for line in function if WORD.search(line)][:LINES])]
    for prompt in LINE_PROMPTS:
        drawn = (model.generate(prompt, length=70, seed=seed, stop="\n") for seed in range(1, DRAWN + 1))
        lines = [visible(prompt + text) for text in drawn if len(WORD.findall(text)) > 3]
        parts.append((prompt, lines[:FEW]))
    told = "The model writes, character by character.\n"
    for prompt, lines in parts:
        told += f"\nAfter {prompt!r}:\n\n" + "".join(f"    {line}\n" for line in lines)
    return told
