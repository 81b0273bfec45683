"""Fault test 3: the n-th system call of every operation fails, n swept over all of them.

Each of ENOSPC, EIO and EACCES, once or from then on (a disk that stays full), writes torn in the middle or
not at all. Afterwards: either the operation raised one clear line and the old is found whole, or it is
finished and the new is found whole; nothing temporary is left where it could be removed; and once the
disk is well again, the same operation succeeds.

    python benchmarks/faults/failing_writes.py [--json]
"""

from __future__ import annotations

import argparse
import errno
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from crashes import Fault, judge
from operations import OPERATIONS, Operation
from storage_shim import ERRNOS, Failing, installed

from pantoum.errors import StorageError


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    wanted = parser.parse_args()
    began = time.perf_counter()
    results: dict[str, Counter[str]] = {}
    place = Path(tempfile.mkdtemp())
    faults = []
    for operation in OPERATIONS:
        counts = results.setdefault(operation.name, Counter())
        for number, sticky, torn in product(ERRNOS, (False, True), (False, True)):
            try:
                counts.update(sweep(operation, place, number, sticky=sticky, torn=torn))
            except Fault as fault:
                faults.append(str(fault))
                shutil.rmtree(place)
                place.mkdir()
    shutil.rmtree(place)
    seconds = round(time.perf_counter() - began, 1)
    cases = sum(sum(counts.values()) for counts in results.values())
    if wanted.json:
        print(json.dumps({"cases": cases, "faults": faults, "seconds": seconds, "operations": results}))
    else:
        for name, counts in results.items():
            print(f"{name:26}", ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
        print(f"{cases} cases, {len(faults)} faults, {seconds} s")
        print("\n".join(faults), file=sys.stderr, end="")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
