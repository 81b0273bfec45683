"""``pantoum demo``: a model learns the source of Python's own standard library, and writes some.

Every machine that runs pantoum has this text, so the demo needs no network. The files depend on the Python
version alone: the modules of the library in the order of their paths, without tests, up to a few megabytes.
"""

from __future__ import annotations

import argparse
import os
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
TEXT_BYTES = 4_000_000
LARGEST_FILE = 200_000
LEFT_OUT = {
    "__pycache__",
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "idle_test",
    "lib2to3",
    "encodings",
    "pydoc_data",
    "ensurepip",
}
PROMPT = "def read_"
HOW = f" --prompt {quoted(PROMPT)} --min-p none"
"""After some spaces of an indentation the next one has most of the probability: with a floor on that of the
others many texts would be spaces."""


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
        "--run", default=None, metavar="DIR", help="run folder (default: runs/demo, then -2, -3)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def library_source(library: Path) -> list[str]:
    """The files to read: modules of the library in the order of their paths, up to ``TEXT_BYTES``."""
    found = []
    for folder, folders, names in os.walk(library):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT and not name.startswith("."))
        found += [Path(folder, name) for name in names if name.endswith(".py")]
    found.sort(key=lambda path: os.fsencode(path))
    kept, size = [], 0
    for path in found:
        length = path.stat().st_size
        if 0 < length <= LARGEST_FILE and size + length <= TEXT_BYTES and _plain(path):
            kept.append(str(path))
            size += length
    if not kept:
        raise TextError(
            f"there is no Python source in {str(library)!r}: the demo reads the standard library; "
            "train on a text of your own with `pantoum train TEXT`"
        )
    return kept


def _plain(path: Path) -> bool:
    """Whether a file is ASCII: two minutes are too short for symbols that occur once."""
    try:
        return path.read_bytes().isascii()
    except OSError:
        return False


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

    megabytes = sum(Path(text).stat().st_size for text in texts) / 1e6
    output.say(
        f"pantoum trains a model on {len(texts)} files of Python's standard library ({megabytes:.1f} MB of "
        f"source) for {arguments.minutes:g} minutes"
    )
    settings = {"minutes": arguments.minutes, "run": folder or free_folder("runs/demo")}
    typed = arguments.typed, arguments.started
    done = api.train_typed(texts, settings, typed, progress=not output.quiet)
    answer = "" if arguments.json or done.stopped or done.rank else _shown(done)
    return end(done, answer or str(done.folder), arguments.json, output, HOW)


def _shown(done: Run) -> str:
    """The curve and a sample with a comment on each."""
    from pantoum.report.escape import visible
    from pantoum.report.plot import sparkline

    sample = done.model.generate(PROMPT, length=400, seed=1, min_p=None)
    losses = [record.loss for record in done.history if record.loss is not None]
    curve = f"{losses[0]:.2f} {sparkline(losses)} {losses[-1]:.2f}\n\n" if losses else ""
    return (
        f"Training loss from the first report to the last, in nats per character:\n{curve}"
        f"The model has never seen this function; it writes it character by character, after {PROMPT!r}:\n\n"
        f"{visible(PROMPT + sample)}\n"
    )
