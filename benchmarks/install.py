"""Installation in an empty environment, by the clock and in processor time: from a wheel, or from a clone.

From a wheel, in order: an environment is made; pip installs the wheel and what it depends on, all of it from
pip's cache; `pantoum train` does one step. The wheel is built before (not counted) unless one is given. A run
before the counted ones warms the cache. Byte code is not made by pip but when a module is first imported:
with and without `--no-compile` can be compared.

From a clone, what a newcomer types: `git clone`, an environment, `pip install .` with a compiler,
`pantoum train TEXT --minutes 1`, `pantoum generate`, up to the first written text. Processor time is that of
all processes of a part, so it depends little on what else runs; the clock needs two cores that are quiet.

    python benchmarks/install.py [--wheel FILE] [--runs 2] [--compile] [--json]
    python benchmarks/install.py --clone [--text FILE] [--minutes 1] [--runs 1] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MARKS = {"wheel": {"whole": 15.0}, "clone": {"whole": 210.0, "pip install (processor)": 75.0}}
"""Seconds: of all parts by the clock, and of processor time."""
TEXT = "Rows that go on from batch to batch.\n" * 2000

Commands = dict[str, list[str]]


def build(folder: Path) -> Path:
    """The wheel of this source, core and all."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        check=True,
        env={**os.environ, "PANTOUM_REQUIRE_CORE": "1"},
    )
    return next(folder.glob("pantoum-*.whl"))


def program(folder: Path) -> str:
    """The Python of the environment that is made."""
    return str(folder / "environment" / ("Scripts" if os.name == "nt" else "bin") / "python")


def from_wheel(folder: Path, wheel: Path, compiled: bool) -> Commands:
    """What is measured of a wheel."""
    python, text = program(folder), folder / "text.txt"
    text.write_text(TEXT)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    train = [python, "-m", "pantoum", "train", str(text), "--quiet", "--run", str(folder / "run")]
    return {
        "environment": [sys.executable, "-m", "venv", str(folder / "environment")],
        "pip install": [*pip, *([] if compiled else ["--no-compile"]), str(wheel)],
        "first step": [*train, "--steps", "1"],
    }


def from_clone(folder: Path, text: Path | None, minutes: float) -> Commands:
    """What is measured of a clone of the last commit."""
    python, clone, run = program(folder), folder / "pantoum", folder / "run"
    if text is None:
        text = folder / "text.txt"
        text.write_text(TEXT * 10)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(clone)]
    pantoum = [python, "-m", "pantoum"]
    return {
        "git clone": ["git", "clone", "--quiet", str(ROOT), str(clone)],
        "environment": [sys.executable, "-m", "venv", str(folder / "environment")],
        "pip install": pip,
        "train": [*pantoum, "train", str(text), "--minutes", f"{minutes:g}", "--quiet", "--run", str(run)],
        "first text": [*pantoum, "generate", str(run), "--seed", "1", "--length", "300", "--quiet"],
    }


def measured(commands: Commands, folder: Path) -> dict[str, float]:
    """Seconds of each part, by the clock and of the processor."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PANTOUM_ISA")}
    found = {}
    for name, command in commands.items():
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, cwd=folder, env=kept, stdout=subprocess.DEVNULL)
        found[name] = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found[f"{name} (processor)"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found["whole"] = sum(found[name] for name in commands)
    return found


def repeated(asked: argparse.Namespace, place: Path) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """The counted runs, and what they are of."""
    found, about = [], {}
    wheel = None if asked.clone else (asked.wheel or build(place)).resolve()
    if wheel is not None:
        about = {"wheel": wheel.name, "wheel bytes": wheel.stat().st_size, "byte code by pip": asked.compile}
    for number in range(asked.runs + (wheel is not None)):
        folder = place / str(number)
        folder.mkdir()
        if wheel is None:
            text = None if asked.text is None else asked.text.resolve()
            commands = from_clone(folder, text, asked.minutes)
        else:
            commands = from_wheel(folder, wheel, asked.compile)
        found.append(measured(commands, folder))
        warms = wheel is not None and number == 0
        print(f"run {number}{' (warms the cache)' * warms}: {found[-1]['whole']:.1f} s", file=sys.stderr)
    return found[wheel is not None :], about


def main() -> None:
    """Measure, and compare with the marks."""
    parser = argparse.ArgumentParser(description="from an empty environment to the first step or text")
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--clone", action="store_true", help="from a clone of the last commit, compiled")
    parser.add_argument("--text", type=Path, help="what is trained on after a clone")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="let pip make the byte code")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found, about = repeated(asked, Path(place))
    rows = {
        part: {"min": min(values), "median": statistics.median(values), "max": max(values)}
        for part in found[0]
        for values in [[each[part] for each in found]]
    }
    marks = MARKS["clone" if asked.clone else "wheel"]
    met = {part: rows[part]["min"] <= mark for part, mark in marks.items()}
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": sys.version.split()[0]}
    if asked.json:
        print(json.dumps({"machine": machine, **about, "seconds": rows, "marks": marks, "met": met}))
        return
    print(", ".join(f"{name} {value}" for name, value in {**machine, **about}.items()))
    for part, row in rows.items():
        print(f"{part:<26}{row['min']:7.2f} {row['median']:7.2f} {row['max']:7.2f} s")
    for part, mark in marks.items():
        print(f"{part}: mark {mark:g} s: {'met' if met[part] else 'NOT met'}")


if __name__ == "__main__":
    main()
