"""Fault tests 3 and 14 on a disk that is really full: a small tmpfs, filled up to a few pages.

In a mount namespace of its own (``unshare``, no root needed) every operation is done with 0, 1, 2, ... pages
left, from nothing to enough. The look at free space beforehand is told a lie, as a quota would tell it, so
that the kernel's own ENOSPC is met at every place. What must come: one clear line and the old found whole,
or the new; and the new as soon as there is space again.

    python benchmarks/faults/full_disk.py [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from crashes import Fault
from failing_writes import attempt, outcome
from operations import OPERATIONS, Operation
from storage_shim import Recorder, installed

PAGE = os.sysconf("SC_PAGE_SIZE")
DISK_PAGES = 512
MOST_PAGES = 24


class Liar(Recorder):
    """Every call is the real one; the disk only seems to be large."""

    def __init__(self) -> None:
        super().__init__()
        self.free_bytes = lambda folder: 1 << 50


def fill(place: Path, leave: int) -> Path:
    """A file that takes all but ``leave`` pages."""
    ballast = place / "ballast"
    status = os.statvfs(place)
    with ballast.open("wb") as file:
        for _ in range(status.f_bavail * status.f_frsize // PAGE - leave):
            file.write(bytes(PAGE))
    return ballast


def with_pages_left(operation: Operation, place: Path, leave: int) -> str:
    """What comes of one operation with ``leave`` pages left."""
    folder = place / "folder"
    folder.mkdir()
    operation.prepare(folder)
    ballast = fill(place, leave)
    where = f"{leave} pages left"
    with installed(Liar()):
        told = attempt(operation, folder, where)
    ballast.unlink()
    what = outcome(operation, folder, told, "write", where)
    shutil.rmtree(folder)
    return what


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.inside is None:
        with tempfile.TemporaryDirectory() as name:
            command = [
                "unshare",
                "-rm",
                sys.executable,
                __file__,
                "--inside",
                name,
                *["--json"] * wanted.json,
            ]
            return subprocess.run(command, check=False).returncode
    place = Path(wanted.inside)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_PAGES * PAGE}", "none", str(place)]
    subprocess.run(mount, check=True)
    began, results, faults = time.perf_counter(), {}, []
    for operation in OPERATIONS:
        counts = results.setdefault(operation.name, Counter())
        for leave in range(MOST_PAGES + 1):
            try:
                counts[with_pages_left(operation, place, leave)] += 1
            except Fault as fault:
                faults.append(str(fault))
                shutil.rmtree(place / "folder")
    seconds = round(time.perf_counter() - began, 1)
    if wanted.json:
        print(json.dumps({"operations": results, "faults": faults, "seconds": seconds}))
    else:
        for name, counts in results.items():
            print(f"{name:26}", ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
        print(f"{len(faults)} faults, {seconds} s")
        print("".join(fault + "\n" for fault in faults), file=sys.stderr, end="")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
