"""Stop one operation after every one of its system calls, and look at what is found afterwards.

``killed`` stops a real operation on the real disk (the process is gone, the system goes on); ``power_cuts``
takes the recorded calls and lays out everything that a power cut may leave after each of them. What is
found must be the old or the new, never an error, never a mix; after the next start's cleaning no temporary
name is left, and the same is found.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from crash_images import Disk, lay_out
from operations import Operation
from storage_shim import Call, Crash, Crashing, Recorder, installed

from pantoum.formats import checkpoint


class Fault(Exception):  # noqa: N818 - the name of what was found
    """What was found that must not be."""


def record(operation: Operation, folder: Path) -> list[Call]:
    """Prepare ``folder``, then do the operation and return its calls."""
    operation.prepare(folder)
    with installed(Recorder()) as recorder:
        operation.act(folder)
    return recorder.log


def judge(operation: Operation, folder: Path, *, finished: bool, where: str) -> str:
    """What is found in ``folder``; ``Fault`` where it is not what must be found."""
    try:
        found = operation.observe(folder)
        checkpoint.clean_temporary(folder)
        again = operation.observe(folder)
    except Exception as error:
        raise Fault(f"{operation.name}, {where}: {type(error).__name__}: {error}") from error
    left = [str(p) for p in folder.rglob("*") if ".pantoum-" in p.name]
    if found not in ("old", "new") or again != found or left or (finished and found != "new"):
        raise Fault(f"{operation.name}, {where}: found {found}, after cleaning {again}, left {left}")
    return found


def killed(operation: Operation, place: Path) -> Iterator[str]:
    """The findings after each number of calls, from none to all."""
    prepared = place / "prepared"
    prepared.mkdir()
    operation.prepare(prepared)
    n = 0
    while True:
        folder = place / f"killed-{n}"
        shutil.copytree(prepared, folder)
        finished = True
        with installed(Crashing(n)):
            try:
                operation.act(folder)
            except Crash:
                finished = False
        yield judge(operation, folder, finished=finished, where=f"killed after {n} calls")
        shutil.rmtree(folder)
        if finished:
            return
        n += 1


def power_cuts(
    operation: Operation, before: Path, calls: Sequence[Call], root: Path, place: Path
) -> Iterator[str]:
    """The findings in every image of a cut after each number of calls; ``before`` is what was there before,
    ``root`` the folder that the calls name."""
    disk = Disk(before)
    disk.root = root
    for n in range(len(calls) + 1):
        if n:
            disk.apply(calls[n - 1])
        for words, tree in disk.images():
            folder = place / "image"
            lay_out(tree, folder)
            finished = n == len(calls) and operation.durable
            yield judge(operation, folder, finished=finished, where=f"power cut after {n} calls, {words}")
            shutil.rmtree(folder)
