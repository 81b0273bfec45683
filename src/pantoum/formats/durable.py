"""Writing that a crash, a full disk or a signal cannot turn into damage.

Everything that pantoum writes goes through this file: a temporary file beside the target, write, fsync,
rename over the target, fsync of the folder. Until the rename the old file is whole and in place, after it the
new one is; nothing in between can be seen. A failed write removes its temporary file, and a crash leaves one
whose name ``clean_temporary`` knows.

What it will not do: retry. After a failed fsync the kernel may have dropped the very pages that it could
not write, so the only honest retry is to write the whole file again, and that is the caller's decision.

On Windows a folder cannot be fsynced (a rename is atomic, but a power cut may undo it), and a file that
another program holds open for longer than a second cannot be replaced: that is an error, and the old file
stays.
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
from pantoum.formats.system_calls import Bytes, System, translated

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

Data: TypeAlias = "Bytes | Iterable[Bytes]"

WRITE_SIZE = 1 << 24
"""Most bytes of one write call: several systems refuse calls of 2 GiB and more."""
TEMPORARY = re.compile(r"\.(.{1,40})\.[0-9a-f]{16}\.pantoum-tmp", re.DOTALL)

system = System()
"""Through which everything is written. Fault tests replace it."""


class NewFile:
    """A file that is being written and has no name that a reader would look for."""

    def __init__(self, descriptor: int, target: Path) -> None:
        self.descriptor, self.target = descriptor, target

    def write(self, data: Bytes, place: int | None = None) -> None:
        """Write all of ``data``, however many calls that takes; ``place``: over what is there."""
        if place is not None:
            self._go_to(place)
        view = memoryview(data).cast("B")
        while view:
            with translated("write", self.target):
                count = system.write(self.descriptor, view[:WRITE_SIZE])
                if count <= 0:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
            view = view[count:]

    def begin_anew(self) -> None:
        """Forget all that was written."""
        with translated("write", self.target):
            system.truncate(self.descriptor, 0)
        self._go_to(0)

    def _go_to(self, place: int) -> None:
        with translated("write", self.target):
            os.lseek(self.descriptor, place, os.SEEK_SET)


@contextmanager
def new_file(path: Path | str) -> Iterator[NewFile]:
    """A new file in the place of ``path`` once the block has ended; until then an existing one stays.

    A symbolic link is followed, so that the file it names is replaced; what is no regular file is refused.
    The new file is readable by no one who could not read the old one."""
    target, mode = _target(Path(path))
    if not stat.S_ISREG(mode):
        raise StorageError(f"cannot write {str(path)!r}: it is a device or a pipe; name a file")
    temporary = temporary_beside(target)
    try:
        with translated("write", target):
            descriptor = _locked(temporary, stat.S_IMODE(mode) & 0o666)
        try:
            yield NewFile(descriptor, target)
            with translated("write", target):
                system.fsync(descriptor)
        except BaseException:
            with suppress(OSError):
                system.close(descriptor)
            raise
        with translated("write", target):
            system.close(descriptor)
            system.rename(temporary, target)
    except BaseException:
        with suppress(StorageError, OSError):
            if temporary.exists():
                remove_tree(temporary)
        raise
    _fsync_folder(target.parent)


def _locked(path: Path, mode: int) -> int:
    """A new file, which nobody takes for left behind while it is open."""
    while True:
        descriptor = system.create(path, mode)
        if _lock(descriptor):
            return descriptor
        system.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a new file or folder until it is closed; false: somebody took it for left behind before."""
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    return os.fstat(descriptor).st_nlink > 0


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``path``, missing or empty, once the block has ended."""
    temporary = temporary_beside(path)
    make_folder(temporary)
    descriptor = os.open(temporary, os.O_RDONLY) if fcntl is not None else None
    try:
        if descriptor is not None:
            _lock(descriptor)
        yield temporary
        with translated("write", path):
            if path.exists():
                path.rmdir()
            system.rename(temporary, path)
    except BaseException:
        with suppress(StorageError, OSError):
            remove_tree(temporary)
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)
    _fsync_folder(path.parent)


def clear_left_behind(target: Path) -> None:
    """Remove what processes that were killed left of a new file or folder. It is locked by whoever writes it;
    without locks (Windows) a file that is open cannot be removed anyway."""
    with suppress(OSError):
        for path in list(target.parent.iterdir()):
            match = TEMPORARY.fullmatch(path.name)
            if match is not None and match[1] == target.name[:40]:
                with suppress(OSError, StorageError):
                    _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    if fcntl is None:
        remove_tree(path)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(path)
    finally:
        os.close(descriptor)


def write_file(path: Path | str, data: Data) -> None:
    """Write a file whole or not at all. ``data`` is bytes, or an iterable of them, drawn while the file is
    written. A device or pipe is written through."""
    chunks = (data,) if isinstance(data, (bytes, bytearray, memoryview)) else data
    target, mode = _target(Path(path))
    if stat.S_ISREG(mode):
        with new_file(target) as file:
            for chunk in chunks:
                file.write(chunk)
        return
    with translated("write", target):
        descriptor = system.open_through(target)
    try:
        for chunk in chunks:
            NewFile(descriptor, target).write(chunk)
    finally:
        system.close(descriptor)


def append_line(path: Path | str, line: bytes) -> None:
    """Append one whole line by a single write; what a failure left of it is cut off again.

    The line goes to the operating system, not to the disk: a killed process loses nothing, a power cut
    may lose the last lines. A line torn by an earlier crash is ended first.
    """
    target = Path(path)
    with translated("append to", target):
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


def make_folder(folder: Path | str, *, above: bool = True) -> None:
    """Make a folder, and with ``above`` those above it where they are missing, durably; an existing one is
    fine."""
    place = Path(folder)
    with translated("make the folder", place):
        if place.is_dir():
            return
        if above and place.parent != place:
            make_folder(place.parent)
        try:
            system.make_folder(place)
        except FileExistsError:
            if not place.is_dir():
                raise
    _fsync_folder(place.parent)


def require_space(folder: Path | str, count: int) -> None:
    """Raise StorageError unless ``count`` more bytes fit on the disk of a folder."""
    with translated("write in", Path(folder)):
        free = system.free_bytes(Path(folder))
    if free < count:
        raise StorageError(
            f"cannot write {count:,} bytes in {str(folder)!r}: only {free:,} are free there; "
            "free some space or choose another folder"
        )


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


def _target(path: Path) -> tuple[Path, int]:
    """The file that a path means, and its mode, or that of a new one."""
    with translated("write", path):
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        mode = target.stat().st_mode if target.exists() else stat.S_IFREG | 0o666
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    return target, mode


def _fsync_folder(folder: Path) -> None:
    with translated("write", folder):
        system.fsync_folder(folder)
