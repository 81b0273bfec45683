"""What every benchmark has: its options, the log of its results, and which pantoum it measured.

That pantoum is the one that the script itself imports, installed or, with ``PYTHONPATH=src``, the working
copy's; the processes that it starts import the same one. A working copy whose core was not built runs on
NumPy, which is to be seen here: ``arithmetic`` is the native core's path, or ``numpy``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["Results", "command", "machine", "parser", "print_marks"]

PANTOUM = (sys.executable, "-m", "pantoum")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The options of a script, whose docstring is their help."""
    formatter = argparse.RawDescriptionHelpFormatter
    found = argparse.ArgumentParser(description=doc, formatter_class=formatter, allow_abbrev=False)
    found.add_argument("--json", action="store_true", help="print one JSON object")
    return found


def machine() -> dict[str, Any]:
    """Processor, system and libraries; pantoum's version, folder and arithmetic. Stands at the head of every
    report."""
    import pantoum
    from pantoum.about.machine import arithmetic
    from pantoum.config import VERSION
    from pantoum.training.run.run_folder import machine as described

    folder = str(Path(pantoum.__file__).parent)
    return {**described(), "pantoum": VERSION, "from": folder, "arithmetic": arithmetic()[0]}


def command(*words: str | Path) -> dict[str, Any]:
    """The JSON of one command of pantoum."""
    asked = [*PANTOUM, *map(str, words), "--json", "--quiet"]
    done = subprocess.run(asked, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Results:
    """Results as lines of a file, each there as soon as it is known: a script that was stopped goes on, and
    does not do again what is there. Without a file they are in memory alone."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        known = file.read_text("utf-8").splitlines() if file is not None and file.exists() else []
        self.lines: list[Any] = list(map(json.loads, known))

    def add(self, line: Any) -> None:
        """One more."""
        self.lines.append(line)
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def print_marks(rows: list[dict[str, Any]]) -> None:
    """A line for each figure that has a mark: ``mark``, ``figure``, ``wanted`` (in words) and ``holds``."""
    for row in rows:
        verdict = "holds" if row["holds"] else "MISSED"
        print(f"{row['mark']:56} {row['figure']:10.4g}   {row['wanted']:>12}   {verdict}")
