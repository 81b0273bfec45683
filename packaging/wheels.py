"""Makes the wheel of every platform on one Linux machine, and checks each: `make wheels` calls it.

    python packaging/wheels.py FOLDER                      all of them
    python packaging/wheels.py FOLDER --only win_amd64     those of these platforms
    python packaging/wheels.py FOLDER --twice              each again with empty caches: the same bytes
    python packaging/wheels.py FOLDER --check              only check the wheels that are there

zig compiles them all (docs/decisions/117-one-compiler-of-wheels.md). `wheel_checks.py` says what is checked,
and runs what this machine can run. The exit status is 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import wheel_checks
import zig

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = {"manylinux": "Linux", "musllinux": "Linux", "macosx": "Darwin", "win": "Windows"}
BUILD = (
    "import sys, json, pantoum_build; print(pantoum_build.build_wheel(sys.argv[1], json.loads(sys.argv[2])))"
)


def make(tag: str, folder: Path, **environment: str) -> Path:
    """The wheel of a platform, with every path of the core that its processors may have."""
    target = zig.TARGETS[tag]
    settings = {
        "wheel.tags": f"py3-none-{tag}",
        "cmake.define.CMAKE_SYSTEM_NAME": SYSTEMS[tag.partition("_")[0]],
        "cmake.define.CMAKE_SYSTEM_PROCESSOR": target.partition("-")[0],
        "wheel.reproducible": "true",  # times and rights of files, in the order of their names
        "install.strip": "false",  # zig has done it; this machine's strip knows its own files only
    }
    print(f"{tag}: compiling", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder.resolve()), json.dumps(settings)],
        cwd=ROOT,
        env={
            **os.environ,
            **zig.environment(target),
            "PANTOUM_REQUIRE_CORE": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode or "cannot compile the path" in done.stdout:
        raise SystemExit(f"{done.stdout[-6000:]}\n{tag}: the wheel was not made")
    return folder / done.stdout.split()[-1]


def made_again(wheel: Path, tag: str) -> str | None:
    """What is wrong with a second build, which has nothing of the first one: another folder, no caches."""
    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder, "cache"))
        second = make(tag, Path(folder), ZIG_GLOBAL_CACHE_DIR=cache, ZIG_LOCAL_CACHE_DIR=cache, TMPDIR=folder)
        return None if second.read_bytes() == wheel.read_bytes() else "a second build gave other bytes"


def main() -> int:
    """Make, check, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=zig.TARGETS, default=list(zig.TARGETS))
    parser.add_argument("--twice", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for tag in options.only:
        wheel = (
            next(options.folder.glob(f"*-{tag}.whl"), None) if options.check else make(tag, options.folder)
        )
        if wheel is None:
            parser.error(f"{options.folder} has no wheel for {tag}")
        row = wheel_checks.checked(wheel, tag)
        if options.twice and (fault := made_again(wheel, tag)):
            row["faults"].append(fault)
        rows.append(row)
    print(json.dumps(rows, indent=1) if options.json else wheel_checks.table(rows))
    return int(any(row["faults"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
