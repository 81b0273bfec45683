"""The system calls by which files are written, one method each, and what their refusals mean to a person.

``durable.system`` is the one object of this class in use; a fault test puts another in its place. Where macOS
and Windows differ, they differ here. Programs that are started inherit nothing that Python opens (PEP 446).
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from pantoum.errors import StorageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Bytes: TypeAlias = "bytes | bytearray | memoryview"

FOLDER_FSYNC_UNKNOWN = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
O_BINARY = getattr(os, "O_BINARY", 0)
PATIENCE = 1.0
"""Seconds; virus scanners and indexers look at a new file for some milliseconds."""
OTHER_FOLDER = "choose a folder that you may write to"
ADVICE = {
    errno.ENOSPC: ("the disk is full", "free some space there or choose another folder"),
    errno.EDQUOT: ("your quota on this disk is used up", "free some space there or choose another folder"),
    errno.EFBIG: ("the file would be larger than is allowed here", "choose a folder on another disk"),
    errno.EACCES: ("permission denied", OTHER_FOLDER),
    errno.EPERM: ("permission denied", OTHER_FOLDER),
    errno.EROFS: ("the disk is read-only", OTHER_FOLDER),
    errno.EIO: ("the disk reported an error", "check the disk, and copy what matters on it elsewhere"),
    errno.ENOENT: ("the folder does not exist", "create the folder or check the spelling"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "check the spelling"),
    errno.EISDIR: ("a folder is in its place", "choose another name"),
    errno.EEXIST: ("it exists already", "choose another name"),
    errno.ENOTEMPTY: ("it exists already", "choose another name"),
    errno.ELOOP: ("a symbolic link leads to itself", "choose another name"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
    errno.EMFILE: ("too many files are open", "close other programs or raise `ulimit -n`"),
    errno.ENFILE: ("too many files are open", "close other programs or raise `ulimit -n`"),
}


class System:
    """The real calls. They raise OSError; whoever calls them says what was being done."""

    waits = os.name == "nt"
    """Whether what another program has open can be neither replaced nor removed."""

    def create(self, path: Path, mode: int) -> int:
        """A new file, opened to be written and read again; an existing one is an error."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | O_BINARY, mode)

    def open_through(self, path: Path) -> int:
        """An existing device or pipe, opened for writing."""
        return os.open(path, os.O_WRONLY | O_BINARY)

    def open_to_append(self, path: Path) -> int:
        """A file whose every write goes to its end; made if missing."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | O_BINARY, 0o666)

    def write(self, descriptor: int, data: Bytes) -> int:
        """Write some of ``data``; how much is returned."""
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        """Wait until a file's bytes are on the disk itself."""
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is not None:
            # macOS: fsync leaves the bytes in the drive's cache; F_FULLFSYNC does not, where it is known.
            with suppress(OSError):
                fcntl.fcntl(descriptor, full)
                return
        os.fsync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file to ``size`` bytes."""
        os.ftruncate(descriptor, size)

    def close(self, descriptor: int) -> None:
        """Close a file; some systems report a failed write only here."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Put ``source`` in ``target``'s place in one step."""
        self._patiently(lambda: source.replace(target))

    def fsync_folder(self, folder: Path) -> None:
        """Wait until a folder's names are on the disk itself."""
        if os.name == "nt":  # Windows has no such call
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.fsync(descriptor)
        except OSError as error:
            # Some network file systems know no fsync of a folder: their server orders names itself.
            if error.errno not in FOLDER_FSYNC_UNKNOWN:
                raise
        finally:
            os.close(descriptor)

    def make_folder(self, folder: Path) -> None:
        """A new folder in an existing one."""
        folder.mkdir()

    def remove(self, path: Path) -> None:
        """Remove a file."""
        self._patiently(path.unlink)

    def remove_folder(self, folder: Path) -> None:
        """Remove an empty folder."""
        self._patiently(folder.rmdir)

    def free_bytes(self, folder: Path) -> int:
        """Bytes that this user may still write there."""
        return shutil.disk_usage(folder).free

    def _patiently(self, call: Callable[[], object]) -> None:
        """On Windows wait a moment for programs that only look at a file."""
        end, pause = time.monotonic() + PATIENCE * self.waits, 0.001
        while True:
            try:
                call()
                return
            except PermissionError:
                if time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause *= 2


def storage_error(action: str, path: Path | str, error: OSError | ValueError) -> StorageError:
    """One line: what was tried, where, what the system said, what to do."""
    number = getattr(error, "errno", None) or 0
    unlisted = (getattr(error, "strerror", None) or str(error), "choose another path")
    meaning, advice = ADVICE.get(number, unlisted)
    symbol = f" ({errno.errorcode[number]})" if number in errno.errorcode else ""
    return StorageError(f"cannot {action} {str(path)!r}: {meaning}{symbol}; {advice}")


@contextmanager
def translated(action: str, path: Path) -> Iterator[None]:
    """Turn the system's refusal (ValueError: a NUL in the path) into a StorageError."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise storage_error(action, path, error) from error
