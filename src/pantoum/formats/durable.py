"""Writing that a crash, a full disk or a signal cannot turn into damage.

Everything that ``formats`` keeps goes through this file: a temporary file beside the target, write,
fsync, rename over the target, fsync of the folder. Until the rename the old file is whole and in place,
after it the new one is; nothing in between can be seen. A failed write removes its temporary file, and a
crash leaves one whose name ``clean_temporary`` knows.

The system calls are methods of one object, ``system``. Fault tests put another in its place that fails
or stops at the n-th call; nothing else in the package writes to a file of ours.

What it will not do: retry. After a failed fsync the kernel may have dropped the very pages that it could
not write, so the only honest retry is to write the whole file again, and that is the caller's decision.

On Windows a folder cannot be fsynced (a rename is atomic, but a power cut may undo it), and a file that
another program holds open cannot be replaced: that is told, and the old file stays.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from pantoum.errors import StorageError
from pantoum.formats import anchor
from pantoum.formats.refusal import translated
from pantoum.formats.system_calls import Bytes, System

__all__ = [
    "Data",
    "append_line",
    "clean_temporary",
    "create",
    "discard",
    "fsync",
    "fsync_folder",
    "is_temporary",
    "make_folder",
    "mark",
    "new_folder",
    "publish",
    "remove_on_failure",
    "remove_tree",
    "rename",
    "require_space",
    "system",
    "temporary_beside",
    "write",
    "write_file",
    "write_new",
]

Data: TypeAlias = "Bytes | Iterable[Bytes]"

WRITE_SIZE = 1 << 24
"""Most bytes of one write call: several systems refuse calls of 2 GiB and more."""

TEMPORARY = re.compile(r"\.(.{1,40})\.[0-9a-f]{16}\.pantoum-tmp", re.DOTALL)

system = System()
"""Through which everything is written. Fault tests replace it."""


# The single steps. --------------------------------------------------------------------------------------


def create(path: Path, mode: int = 0o666) -> int:
    """Make a new file and return its descriptor."""
    with translated("write", _meant(path)):
        return system.create(path, mode)


def write(descriptor: int, data: Bytes, path: Path) -> None:
    """Write all of ``data``, however many calls that takes."""
    view = memoryview(data).cast("B")
    while view:
        with translated("write", _meant(path)):
            count = system.write(descriptor, view[:WRITE_SIZE])
            if count <= 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        view = view[count:]


def fsync(descriptor: int, path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    with translated("write", _meant(path)):
        system.fsync(descriptor)


def rename(source: Path, target: Path) -> None:
    """Put ``source`` in ``target``'s place in one step."""
    with translated("write", target):
        system.rename(source, target)


def fsync_folder(folder: Path) -> None:
    """Wait until the folder's names are on the disk."""
    with translated("write", folder):
        system.fsync_folder(folder)


def _meant(path: Path) -> Path:
    """The file that a temporary one will be: a person knows no other."""
    found = TEMPORARY.fullmatch(path.name)
    return path if found is None else path.with_name(found[1])


# What formats call. -------------------------------------------------------------------------------------


def write_file(path: Path | str, data: Data) -> None:
    """Write a file whole or not at all; an existing one stays in place until the new one is complete.

    ``data`` is bytes, or an iterable of them, drawn while the file is written. A symbolic link is
    followed, so that the file it names is replaced; a device or pipe is written through. Beneath a folder
    that is held (``anchor``) the link, the device or the pipe itself is replaced. The new file is readable
    by no one who could not read the old one.
    """
    target = Path(path)
    with translated("write", target):
        if anchor.beneath(target):
            _replace(target, data, _mode_of(target))
            return
        if target.is_symlink():
            target = Path(os.path.realpath(target))
        mode = target.stat().st_mode if target.exists() else stat.S_IFREG | 0o666
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        _write_through(target, data)
        return
    _replace(target, data, mode)


def _mode_of(path: Path) -> int:
    """The mode of a regular file, or that of a new one."""
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISREG(mode):
            return mode
    return stat.S_IFREG | 0o666


def _replace(target: Path, data: Data, mode: int) -> None:
    temporary = temporary_beside(target)
    with remove_on_failure(temporary):
        write_new(temporary, data, stat.S_IMODE(mode) & 0o666)
        publish(temporary, target)


def write_new(path: Path, data: Data, mode: int = 0o666) -> None:
    """Write and fsync a new file under its own name; the caller publishes it."""
    from pantoum.formats import left_behind

    descriptor = create(path, mode)
    while not left_behind.lock(descriptor):
        system.close(descriptor)
        descriptor = create(path, mode)
    try:
        for chunk in _chunks(data):
            write(descriptor, chunk, path)
        fsync(descriptor, path)
    except BaseException:
        with suppress(OSError):
            system.close(descriptor)
        raise
    with translated("write", _meant(path)):
        system.close(descriptor)


def publish(temporary: Path, target: Path) -> None:
    """Rename a finished temporary file or folder to its name, and make the name durable."""
    rename(temporary, target)
    fsync_folder(target.parent)


def append_line(path: Path | str, line: bytes) -> None:
    """Append one whole line by a single write; what a failure left of it is cut off again.

    The line goes to the operating system, not to the disk: a killed process loses nothing, a power cut
    may lose the last lines. A line torn by an earlier crash is ended first. A symbolic link is an error; a
    file that has other names (a copy by hard links) is replaced by one of its own first.
    """
    target = Path(path)
    with translated("append to", target):
        descriptor = system.open_to_append(target)
        if os.fstat(descriptor).st_nlink > 1:
            system.close(descriptor)
            write_file(target, target.read_bytes())
            descriptor = system.open_to_append(target)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.lseek(descriptor, -1, os.SEEK_END) >= 0 and os.read(descriptor, 1) != b"\n"
            whole = (b"\n" if torn else b"") + line + b"\n"
            try:
                if system.write(descriptor, whole) != len(whole):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with suppress(OSError):
                    system.truncate(descriptor, size)
                raise
        finally:
            system.close(descriptor)


def make_folder(folder: Path | str) -> None:
    """Make a folder, and those above it where they are missing, durably; an existing one is fine."""
    missing: list[Path] = []
    place = Path(folder)
    with translated("make the folder", place):
        while not place.is_dir() and place != place.parent:
            missing.append(place)
            place = place.parent
    for new in reversed(missing):
        with translated("make the folder", new):
            try:
                system.make_folder(new)
            except FileExistsError:
                if not new.is_dir():
                    raise
        fsync_folder(new.parent)


def mark(path: Path) -> None:
    """Make an empty file whose name alone says something, durably; one that is there stays."""
    with translated("write", path), suppress(FileExistsError):
        system.close(system.create(path, 0o666))
    fsync_folder(path.parent)


def new_folder(folder: Path) -> None:
    """Make one new folder, under a temporary name that is published later."""
    with translated("make the folder", folder):
        system.make_folder(folder)


def require_space(folder: Path | str, count: int) -> None:
    """Raise StorageError unless ``count`` more bytes fit on the folder's disk."""
    place = Path(folder).absolute()
    with translated("write in", place):
        while not place.exists() and place != place.parent:
            place = place.parent
        free = system.free_bytes(place)
    if free < count:
        raise StorageError(
            f"cannot write {count:,} bytes in {str(folder)!r}: only {free:,} are free there; "
            "free some space or choose another folder"
        )


# Temporary names. ---------------------------------------------------------------------------------------


def temporary_beside(target: Path) -> Path:
    """A fresh name in the target's folder, on the same disk, that ``is_temporary`` recognises."""
    return target.with_name(f".{target.name[:40]}.{os.urandom(8).hex()}.pantoum-tmp")


def is_temporary(name: str) -> bool:
    """Whether a name was made by ``temporary_beside``."""
    return TEMPORARY.fullmatch(name) is not None


def clean_temporary(folder: Path | str) -> list[str]:
    """Remove what crashes left in one folder, and return its names. Call it when no one else writes there."""
    place = Path(folder)
    with translated("clean", place):
        names = sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []
    stale = [name for name in names if is_temporary(name)]
    for name in stale:
        remove_tree(place / name)
    return stale


def remove_tree(path: Path) -> None:
    """Remove a file, or a folder with what is in it; links are removed, never followed."""
    with translated("remove", path):
        if path.is_dir() and not path.is_symlink():
            for entry in sorted(path.iterdir()):
                remove_tree(entry)
            system.remove_folder(path)
        else:
            system.remove(path)


def discard(path: Path) -> None:
    """Remove a folder in one instant: it takes a temporary name first, so that no half of it is ever seen."""
    temporary = temporary_beside(path)
    rename(path, temporary)
    remove_tree(temporary)


@contextmanager
def remove_on_failure(temporary: Path) -> Iterator[None]:
    """Remove a temporary file or folder if anything stops the block, Ctrl-C included."""
    try:
        yield
    except BaseException:
        with suppress(StorageError, OSError):
            if temporary.exists():
                remove_tree(temporary)
        raise


def _write_through(path: Path, data: Data) -> None:
    """Write to a device or pipe, which can be neither replaced nor fsynced."""
    with translated("write", path):
        descriptor = system.open_through(path)
    try:
        for chunk in _chunks(data):
            write(descriptor, chunk, path)
    finally:
        system.close(descriptor)


def _chunks(data: Data) -> Iterable[Bytes]:
    return (data,) if isinstance(data, (bytes, bytearray, memoryview)) else data
