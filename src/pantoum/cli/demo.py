"""``pantoum demo``: a model learns the source of Python's own standard library, and writes some.

The text is there on every machine that runs pantoum, so the demo needs no network. Which files are read
depends on the Python version alone: the library's own modules in order of their paths, tests left out, up
to a few megabytes.
"""

from __future__ import annotations

import argparse
import os
import sysconfig
from pathlib import Path

from pantoum.cli.output import Output
from pantoum.config import TrainSettings
from pantoum.errors import TextError

HELP = "train on Python's own standard library for two minutes, show the curve, and let it write"
EXAMPLES = """example:
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
INTERRUPTED = 130


def add_options(parser: argparse.ArgumentParser) -> None:
    """The time, the place, and the seed."""
    parser.add_argument(
        "--minutes", type=float, default=2.0, metavar="M", help="minutes by the clock (default 2)"
    )
    parser.add_argument(
        "--run", default=None, metavar="DIR", help="run folder (default runs/demo, then -2, -3)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def library_source(library: Path) -> list[str]:
    """The files to read: the standard library's modules in order of their paths, few enough for minutes."""
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
    """ASCII only: a model of two minutes has no time for symbols that it meets once."""
    try:
        return path.read_bytes().isascii()
    except OSError:
        return False


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Train, show the curve and a sample, and say what to try next."""
    folder = arguments.run
    TrainSettings(minutes=arguments.minutes, run=folder)  # refused before any file is read
    texts = library_source(Path(sysconfig.get_paths()["stdlib"]))

    from pantoum import api

    megabytes = sum(Path(text).stat().st_size for text in texts) / 1e6
    output.say(
        f"pantoum learns {len(texts)} files of Python's standard library ({megabytes:.1f} MB) "
        f"for {arguments.minutes:g} minutes"
    )
    done = api.train(
        texts,
        minutes=arguments.minutes,
        run=folder or api.free_folder("runs/demo"),
        progress=not output.quiet,
        started=arguments.started,
        command=arguments.typed,
    )
    if arguments.json:
        output.json(done.to_dict())
    else:
        sample = done.model.generate("def ", length=400, seed=1, temperature=0.7)
        output.answer(
            f"{api.info(done.folder)}\n\nIt writes (prompt 'def '):\n\n{api.visible('def ' + sample)}\n"
        )
        output.say(f"The model, its checkpoints and its curve are in {done.folder}")
    output.next(done.next_command)
    return INTERRUPTED if done.stopped == "SIGINT" else 0
