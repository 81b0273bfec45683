"""Fault test 2 on the real thing: strace records what the kernel was asked, and every prefix is replayed.

Each operation is done by a process of its own under ``strace``. Its calls are read back from the trace, with
every byte that was written, and are looked at in two ways: they are the very calls that the stand-in of the
other fault tests sees; and after every prefix of them, killed or cut off from power, the old or the new is
there whole.

    python benchmarks/faults/replay_syscalls.py [--json]
"""

from __future__ import annotations

import argparse
import codecs
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from crashes import Fault, power_cuts, record
from operations import OPERATIONS, Operation
from storage_shim import AT_THE_END, Call

TRACED = (
    "open,openat,creat,mkdir,mkdirat,write,pwrite64,writev,fsync,fdatasync,close,rename,renameat,renameat2,"
    "unlink,unlinkat,rmdir,ftruncate,truncate,lseek,link,linkat,symlink,symlinkat"
)
LINE = re.compile(rb"^\d+ +(\w+)\((.*)\) += (-?\d+)(<.*>)?( .*)?$", re.DOTALL)
TEXT = re.compile(rb'"((?:[^"\\]|\\.)*)"')
DESCRIPTOR = re.compile(rb"^(\d+)<((?:[^>\\]|\\.)*)>")
KINDS = {
    "mkdir": "make_folder",
    "mkdirat": "make_folder",
    "unlink": "remove",
    "unlinkat": "remove",
    "rmdir": "remove_folder",
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
}


def trace(operation: Operation, folder: Path, log: Path) -> list[Call]:
    """Do the operation in a process under strace; its calls on ``folder``, with their data."""
    child = [sys.executable, __file__, "--child", operation.name, str(folder)]
    strace = ["strace", "-f", "-y", "-s", "100000000", "-e", f"trace={TRACED}", "-o", str(log), *child]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(strace, check=True, env=environment)
    return list(Trace(log, folder))


class Trace:
    """The calls of one trace that change ``folder``, in order, as ``storage_shim.Call``."""

    def __init__(self, log: Path, folder: Path) -> None:
        self._log, self._inside = log, os.fsencode(folder)
        self._place: dict[int, int] = {}
        self._folders: set[int] = set()

    def __iter__(self) -> Iterator[Call]:
        for line in self._log.read_bytes().split(b"\n"):
            match = LINE.match(line)
            if match is None or self._inside not in line or int(match[3]) < 0:
                continue
            name, arguments, result = match[1].decode(), match[2], int(match[3])
            on = DESCRIPTOR.match(arguments)
            if name in ("open", "openat"):
                yield from self._opened(path_of(arguments), arguments, result)
            elif name in KINDS:
                texts = [Path(os.fsdecode(unescaped(text))) for text in TEXT.findall(arguments)]
                yield Call(KINDS[name], texts[0], texts[1] if name.startswith("rename") else None)
            elif on is not None:
                yield from self._on_file(
                    name, int(on[1]), Path(os.fsdecode(unescaped(on[2]))), arguments, result
                )
            else:
                raise Fault(f"a call that nobody foresaw: {line[:200]!r}")

    def _opened(self, path: Path, arguments: bytes, descriptor: int) -> Iterator[Call]:
        self._place[descriptor] = AT_THE_END if b"O_APPEND" in arguments else 0
        self._folders.discard(descriptor)
        if b"O_DIRECTORY" in arguments:
            self._folders.add(descriptor)
        elif b"O_APPEND" in arguments:
            yield Call("open_to_append", path)
        elif b"O_CREAT" in arguments:
            yield Call("create", path)

    def _on_file(
        self, name: str, descriptor: int, path: Path, arguments: bytes, result: int
    ) -> Iterator[Call]:
        place = self._place[descriptor]
        if name == "write":
            text = TEXT.search(arguments)
            yield Call("write", path, None, place, unescaped(text[1])[:result] if text is not None else b"")
            self._place[descriptor] = place if place == AT_THE_END else place + result
        elif name == "lseek":
            self._place[descriptor] = place if place == AT_THE_END else result
        elif name == "fsync":
            yield Call("fsync_folder" if descriptor in self._folders else "fsync", path)
        elif name == "ftruncate":
            yield Call("truncate", path, None, int(arguments.rsplit(b",", 1)[1]))
        elif name != "close":
            raise Fault(f"{name} on {path}: nobody foresaw it")


def path_of(arguments: bytes) -> Path:
    """The first quoted text of a call's arguments."""
    text = TEXT.search(arguments)
    assert text is not None
    return Path(os.fsdecode(unescaped(text[1])))


def unescaped(text: bytes) -> bytes:
    """The bytes that strace spelled with C's escapes."""
    return codecs.escape_decode(text)[0]  # type: ignore[attr-defined, no-any-return]


def likeness(calls: Sequence[Call], folder: Path) -> list[tuple[str, str, str, int, int]]:
    """Calls without what differs from one process to the next: the folder, and random names."""

    def plain(path: Path | None) -> str:
        return re.sub(r"[0-9a-f]{16}", "*", str(path.relative_to(folder))) if path is not None else ""

    return [
        (c.kind, plain(c.path), plain(c.target), c.offset, len(c.data)) for c in calls if c.kind != "close"
    ]


def replay(operation: Operation, place: Path) -> dict[str, int]:
    """One operation, recorded by strace and replayed."""
    before, traced, shimmed = place / "before", place / "traced", place / "shimmed"
    for folder in (before, traced, shimmed):
        folder.mkdir()
    operation.prepare(before)
    operation.prepare(traced)
    calls = trace(operation, traced, place / "log")
    if likeness(calls, traced) != likeness(record(operation, shimmed), shimmed):
        raise Fault(f"{operation.name}: the stand-in sees other calls than the kernel")
    found = list(power_cuts(operation, before, calls, traced, place))
    return {"calls": len(calls), "images": len(found), "new": found.count("new")}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child:
        next(each for each in OPERATIONS if each.name == wanted.child[0]).act(Path(wanted.child[1]))
        return 0
    if shutil.which("strace") is None:
        print("strace is missing; install it (on Linux) to run this", file=sys.stderr)
        return 1
    began, results, faults = time.perf_counter(), {}, []
    for operation in OPERATIONS:
        with tempfile.TemporaryDirectory() as name:
            try:
                results[operation.name] = replay(operation, Path(name))
            except Fault as fault:
                faults.append(f"{operation.name}: {fault}")
    seconds = round(time.perf_counter() - began, 1)
    if wanted.json:
        print(json.dumps({"operations": results, "faults": faults, "seconds": seconds}))
    else:
        for operation_name, counts in results.items():
            print(f"{operation_name:26}", ", ".join(f"{count} {what}" for what, count in counts.items()))
        print(f"{len(faults)} faults, {seconds} s")
        print("".join(fault + "\n" for fault in faults), file=sys.stderr, end="")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
