"""Stand-ins for ``durable.system``: they record the real calls, fail at the n-th, or stop after it.

The calls that are not refused are carried out for real, so what is on the disk is what a program would
find there. ``installed`` puts a stand-in in place for the time of a ``with``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pantoum.formats import durable
from pantoum.formats.system_calls import System

CALLS = (
    *("create", "open_through", "open_to_append", "write", "fsync", "truncate", "close"),
    *("rename", "fsync_folder", "make_folder", "remove", "remove_folder"),
)
CLEANING = ("close", "remove", "remove_folder")
"""Calls that a full disk does not refuse."""


class Crash(BaseException):
    """The process ends here. Nothing may be done on the disk any more, cleaning up included."""


AT_THE_END = -1


@dataclass(frozen=True)
class Call:
    """One call that was carried out: ``kind``, the path, and what the kind needs."""

    kind: str
    path: Path
    target: Path | None = None
    """The new name, where the event is a rename."""
    offset: int = 0
    """Where in the file bytes were written (or ``AT_THE_END``); the size that it was cut to."""
    data: bytes = b""


class Recorder:
    """Carries out every call and keeps it in ``log``, with paths in place of descriptors."""

    def __init__(self) -> None:
        self.log: list[Call] = []
        self.count = 0
        self._system = System()
        self._paths: dict[int, Path] = {}
        self._appended: set[Path] = set()
        self.free_bytes = self._system.free_bytes

    def __getattr__(self, name: str) -> Any:
        if name not in CALLS:
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            self.before(name, arguments)
            self.count += 1
            return self._carry_out(name, arguments)

        return call

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Where a stand-in refuses a call."""

    def _carry_out(self, name: str, arguments: tuple[Any, ...]) -> Any:
        on_file = name in ("write", "fsync", "truncate", "close")
        path = self._paths[arguments[0]] if on_file else arguments[0]
        offset = 0
        if name == "write":
            offset = AT_THE_END if path in self._appended else os.lseek(arguments[0], 0, os.SEEK_CUR)
        result = getattr(self._system, name)(*arguments)
        if name in ("create", "open_through", "open_to_append"):
            self._paths[result] = path
        if name == "open_to_append":
            self._appended.add(path)
        data = bytes(arguments[1][:result]) if name == "write" else b""
        size = arguments[1] if name == "truncate" else offset
        self.log.append(Call(name, path, arguments[1] if name == "rename" else None, size, data))
        return result


class Failing(Recorder):
    """The n-th call (from 0) fails with an errno; ``sticky``: so do those after it, as on a full disk.

    ``torn``: a failing write writes half of its bytes first.
    """

    def __init__(self, n: int, number: int, *, sticky: bool = False, torn: bool = False) -> None:
        super().__init__()
        self.n, self.number, self.sticky, self.torn = n, number, sticky, torn
        self.failed = ""

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        again = self.sticky and bool(self.failed) and name not in CLEANING
        if self.count != self.n and not again:
            return
        self.failed = self.failed or name
        if self.torn and name == "write":
            self._system.write(arguments[0], bytes(arguments[1][: len(arguments[1]) // 2]))
        if name == "close":
            # The descriptor is gone all the same, as POSIX leaves it open to say.
            self._system.close(arguments[0])
        self.count += 1
        raise OSError(self.number, os.strerror(self.number))


class Crashing(Recorder):
    """The process is gone after ``n`` calls."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        if self.count >= self.n:
            raise Crash


@contextmanager
def installed(stand_in: Recorder) -> Iterator[Recorder]:
    """Everything that formats write goes through ``stand_in``."""
    real = durable.system
    durable.system = stand_in  # type: ignore[assignment]
    try:
        yield stand_in
    finally:
        durable.system = real


ERRNOS = (errno.ENOSPC, errno.EIO, errno.EACCES)
