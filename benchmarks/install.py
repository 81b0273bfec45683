"""From an empty environment and a warm package cache to the first training step, by the clock.

In order: an environment is made; pip installs a wheel of pantoum and what it depends on, all of it from pip's
cache; `pantoum train` does one step. The wheel is built before (not counted) unless one is given. A run
before the counted ones warms the cache. Byte code is not made by pip but when a module is first imported:
with and without `--no-compile` can be compared.

    python benchmarks/install.py [--wheel FILE] [--runs 2] [--compile] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MARK = 15.0
ROOT = Path(__file__).resolve().parent.parent
PARTS = ("environment", "pip install", "first step")


def build(folder: Path) -> Path:
    """The wheel of this source, core and all."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        check=True,
        env={**os.environ, "PANTOUM_REQUIRE_CORE": "1"},
    )
    return next(folder.glob("pantoum-*.whl"))


def once(wheel: Path, folder: Path, compiled: bool) -> dict[str, float]:
    """Seconds of each part."""
    python = folder / "environment" / ("Scripts" if os.name == "nt" else "bin") / "python"
    text = folder / "text.txt"
    text.write_text("Rows that go on from batch to batch.\n" * 2000)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    commands = {
        "environment": [sys.executable, "-m", "venv", str(folder / "environment")],
        "pip install": [*install, *([] if compiled else ["--no-compile"]), str(wheel)],
        "first step": [
            str(python),
            "-m",
            "pantoum",
            "train",
            str(text),
            "--steps",
            "1",
            "--quiet",
            "--run",
            str(folder / "run"),
        ],
    }
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = {}
    for name, command in commands.items():
        began = time.perf_counter()
        subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        found[name] = time.perf_counter() - began
    found["whole"] = sum(found.values())
    return found


def main() -> None:
    """One run to warm the cache, then those that count."""
    parser = argparse.ArgumentParser(description="from an empty environment to the first step")
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="let pip make the byte code")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as place:
        wheel = (asked.wheel or build(Path(place))).resolve()
        for number in range(asked.runs + 1):
            folder = Path(place, str(number))
            folder.mkdir()
            found.append(once(wheel, folder, asked.compile))
            whole = found[-1]["whole"]
            print(f"run {number}{'' if number else ' (warms the cache)'}: {whole:.1f} s", file=sys.stderr)
        size = wheel.stat().st_size
    rows: dict[str, Any] = {
        part: {"min": min(values), "median": statistics.median(values), "max": max(values)}
        for part in (*PARTS, "whole")
        for values in [[each[part] for each in found[1:]]]
    }
    met = rows["whole"]["min"] <= MARK
    report = {
        "machine": {"cores": os.cpu_count(), "python": sys.version.split()[0]},
        "wheel": wheel.name,
        "wheel bytes": size,
        "byte code by pip": asked.compile,
        "seconds": rows,
        "mark": MARK,
        "met": met,
    }
    if asked.json:
        print(json.dumps(report))
        return
    print(f"{wheel.name} ({size / 1e6:.2f} MB), {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    for part, row in rows.items():
        print(f"{part:<14}{row['min']:7.2f} {row['median']:7.2f} {row['max']:7.2f} s")
    print(f"mark {MARK:g} s: {'met' if met else 'NOT met'}")


if __name__ == "__main__":
    main()
