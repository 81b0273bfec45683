"""Reading files that someone else may have made, cut, swapped or changed.

A file is opened once, must be a regular file (a pipe would hang, a device never end), and is read into
memory of our own: what was verified is then exactly what is used. A memory map would save a copy, but a
file cut while it is mapped kills the process (SIGBUS), and one overwritten in place changes the weights
under a running session. No file that has a name is ever mapped (docs/decisions/037).

Errors are of the format's own type, one line with the path, what is wrong and what to do.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from pantoum.errors import FormatError, PantoumError

READ_SIZE = 1 << 20
"""Bytes read and hashed at a time: they are still in the cache when they are hashed."""

FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
MEANING: dict[type[Exception], str] = {
    FileNotFoundError: "there is no such file; check the spelling",
    NotADirectoryError: "a part of the path is a file, not a folder; check the spelling",
    IsADirectoryError: "it is a folder; name a file in it",
    PermissionError: "permission denied; make it readable for you",
}
DISK = "the disk reported an error; check the disk, and use a copy of the file if there is one"


@contextmanager
def opened(path: Path | str, error: type[FormatError]) -> Iterator[tuple[FileIO, int]]:
    """A regular file, unbuffered, and its size; every failure to open or read it is told as ``error``."""
    with reported(path, error):
        descriptor = os.open(path, FLAGS)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(status.st_mode):
                raise error(f"cannot read {str(path)!r}: it is not a regular file; copy it to one first")
            yield FileIO(descriptor, closefd=False), status.st_size
        finally:
            os.close(descriptor)


@contextmanager
def reported(path: Path | str, error: type[FormatError]) -> Iterator[None]:
    """The refusal of the system to read a file, told as ``error``."""
    try:
        yield
    except PantoumError:
        raise  # some of ours are ValueErrors too
    except (OSError, ValueError) as problem:
        raise error(f"cannot read {str(path)!r}: {reason(problem)}") from problem


def reason(problem: OSError | ValueError) -> str:
    """Why a file cannot be read, and what to do. ``ValueError``: a NUL in the path."""
    if getattr(problem, "errno", None) == errno.EIO:
        return DISK
    system = getattr(problem, "strerror", None) or str(problem)
    return MEANING.get(type(problem), f"{system}; use another file")


def fill(file: FileIO, buffer: memoryview) -> int:
    """Read until the buffer is full or the file ends; return how many bytes there were."""
    count = 0
    while count < len(buffer):
        got = file.readinto(buffer[count:])
        if not got:
            break
        count += got
    return count


def read_small(path: Path | str, limit: int, error: type[FormatError]) -> bytes:
    """A whole file of at most ``limit`` bytes."""
    with opened(path, error) as (file, size):
        if size > limit:
            raise error(
                f"cannot read {str(path)!r}: its {size:,} bytes are more than the {limit:,} allowed for "
                "such a file; pantoum did not write it: use another"
            )
        data = file.read(size)
        if data is None or len(data) != size:
            raise error(f"cannot read {str(path)!r}: it was truncated while it was read; use another copy")
    return data
