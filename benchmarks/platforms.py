"""The platforms that have a wheel: its size, what is wrong with it, where its core ran, with which bits.

    python benchmarks/platforms.py DIST           after `make wheels` has filled DIST
    python benchmarks/platforms.py DIST --json

It opens, checks and runs every wheel of the folder as `make wheels` does, and WebAssembly beside them
(`core/tests/run wasm`). All bits must be the same: the exit status is 1 otherwise, or with any fault.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "packaging"))

import wheel_checks  # noqa: E402
import zig  # noqa: E402


def web_assembly() -> dict[str, Any]:
    """The row of the modules for browsers."""
    done = subprocess.run(
        ["bash", str(ROOT / "core" / "tests" / "run"), "wasm"],
        env={**os.environ, "PYTHON": sys.executable, "SECONDS_OF_FUZZ": "1"},
        capture_output=True,
        text=True,
    )
    row = {"platform": "WebAssembly", "bytes": None, "ran": "no", "bits": None, "faults": []}
    if done.returncode == 77:
        return {**row, "ran": f"SKIP SKIP SKIP  {done.stdout.strip()} is missing"}
    if done.returncode:
        return {**row, "faults": [done.stdout[-500:]]}
    line = next(line for line in done.stdout.splitlines() if line.startswith("wasm: "))
    _, bits, *paths = line.split()
    return {**row, "ran": f"wasmtime: {' '.join(paths)}", "bits": bits}


def main() -> int:
    """Check what is there and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dist", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wheels = [(tag, wheel) for tag in zig.TARGETS for wheel in options.dist.glob(f"*-{tag}.whl")]
    rows = [*(wheel_checks.checked(wheel, tag) for tag, wheel in wheels), web_assembly()]
    print(json.dumps(rows, indent=1) if options.json else wheel_checks.table(rows))
    hashes = {row["bits"] for row in rows if row["bits"]}
    print(f"{len(wheels)} of {len(zig.TARGETS)} wheels; bits: {', '.join(sorted(hashes))}", file=sys.stderr)
    return int(len(hashes) > 1 or any(row["faults"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
