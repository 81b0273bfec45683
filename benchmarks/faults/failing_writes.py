"""Fault tests 3 and 14: the n-th system call of every operation fails, n swept over all of them; a full disk.

Each of ENOSPC, EIO and EACCES, once or from then on (a disk that stays full), writes torn in the middle or
not at all. Afterwards: either the operation raised one clear line and the old is there whole, or it is
finished and the new is there whole; nothing temporary is left where it could be removed; and once the
disk is well again, the same operation succeeds.

    python benchmarks/faults/failing_writes.py [--full-disk] [--json]

``--full-disk``: a disk that is really full, a small tmpfs in a mount namespace of its own (``unshare``, no
root needed). Every operation is done with 0, 1, 2, ... pages left, from nothing to enough. The look at free
space beforehand is given a wrong figure, as a quota would give it, so that the kernel's own ENOSPC is met at
every place.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from crashes import Fault, judge
from operations import OPERATIONS, Operation
from storage_shim import ERRNOS, Failing, Recorder, installed

from pantoum.errors import StorageError

PAGE = os.sysconf("SC_PAGE_SIZE")
DISK_PAGES, MOST_PAGES = 512, 24


def sweep(operation: Operation, place: Path, number: int, *, sticky: bool, torn: bool) -> Iterator[str]:
    """What came of each failing call: ``refused old``, ``refused new`` or ``done new``."""
    prepared = place / "prepared"
    prepared.mkdir()
    operation.prepare(prepared)
    n = 0
    while True:
        folder = place / f"failing-{n}"
        shutil.copytree(prepared, folder)
        where = f"call {n} fails with {errno.errorcode[number]}{', sticky' * sticky}{', torn' * torn}"
        with installed(Failing(n, number, sticky=sticky, torn=torn)) as failing:
            told = attempt(operation, folder, where)
        assert isinstance(failing, Failing)
        if not failing.failed:
            break
        yield outcome(operation, folder, told, failing.failed, f"{where} ({failing.failed})")
        shutil.rmtree(folder)
        n += 1
    shutil.rmtree(place)
    place.mkdir()


def attempt(operation: Operation, folder: Path, where: str) -> str | None:
    """The line with which the operation refused; ``None`` where it returned."""
    try:
        operation.act(folder)
    except StorageError as error:
        line = str(error)
        if "\n" in line or str(folder) not in line or "; " not in line:
            raise Fault(f"{operation.name}, {where}: unclear: {line!r}") from error
        return line
    except Exception as error:
        raise Fault(f"{operation.name}, {where}: {type(error).__name__}: {error}") from error
    return None


def outcome(operation: Operation, folder: Path, told: str | None, failed: str, where: str) -> str:
    """One case, judged."""
    left = [p.name for p in folder.rglob("*") if p.name.endswith(".pantoum-tmp")]
    if left and failed not in ("remove", "remove_folder"):
        raise Fault(f"{operation.name}, {where}: left {left}")
    found = judge(operation, folder, finished=told is None, where=where)
    # The disk is well again: once more. Not a line that is in the log in spite of the error.
    if found == "old" or operation.durable:
        operation.act(folder)
    if operation.observe(folder) != "new":
        raise Fault(f"{operation.name}, {where}: the second attempt does not give the new")
    return f"{'done' if told is None else 'refused'} {found}"


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


def failing(operation: Operation, place: Path) -> Iterator[Iterator[str]]:
    """What came of all failing calls, by how they fail."""
    for number, sticky, torn in product(ERRNOS, (False, True), (False, True)):
        yield sweep(operation, place, number, sticky=sticky, torn=torn)


def full(operation: Operation, place: Path) -> Iterator[Iterator[str]]:
    """What came of an operation, by the pages that are left."""
    for leave in range(MOST_PAGES + 1):
        yield (with_pages_left(operation, place, pages) for pages in (leave,))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full-disk", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    place = Path(asked.inside or tempfile.mkdtemp())
    if asked.full_disk and not asked.inside:
        command = ["unshare", "-rm", sys.executable, *sys.argv, "--inside", str(place)]
        return subprocess.run(command, check=False).returncode
    if asked.inside:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_PAGES * PAGE}", "none", str(place)]
        subprocess.run(mount, check=True)
    began, results, faults = time.perf_counter(), dict[str, Counter[str]](), list[str]()
    for operation in OPERATIONS:
        counts = results.setdefault(operation.name, Counter())
        for cases in (full if asked.inside else failing)(operation, place):
            try:
                counts.update(cases)
            except Fault as fault:
                faults.append(str(fault))
                for left in place.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
    seconds = round(time.perf_counter() - began, 1)
    cases = sum(counts.total() for counts in results.values())
    if asked.json:
        print(json.dumps({"cases": cases, "faults": faults, "seconds": seconds, "operations": results}))
    else:
        for name, counts in results.items():
            print(f"{name:26}", ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
        print(f"{cases} cases, {len(faults)} faults, {seconds} s")
        print("".join(fault + "\n" for fault in faults), file=sys.stderr, end="")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
