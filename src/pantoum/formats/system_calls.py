"""The system calls by which files are written, one method each: a fault test stands in their place.

``durable.system`` is the one object of this class in use. Where macOS and Windows differ, they differ here.
A path beneath a folder that is held (``anchor``) is reached from that folder, without following a link.
Programs that are started inherit nothing that Python opens (PEP 446), so no flag here says so.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from pantoum.formats import anchor

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Bytes", "System"]

Bytes: TypeAlias = "bytes | bytearray | memoryview"

FOLDER_FSYNC_UNKNOWN = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
O_BINARY = getattr(os, "O_BINARY", 0)
O_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
O_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class System:
    """The real calls. They raise OSError; whoever calls them says what was being done."""

    def create(self, path: Path, mode: int) -> int:
        """A new file, opened for writing; an existing one is an error."""
        with anchor.at(path) as (name, folder):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_BINARY
            return os.open(name, flags, mode, dir_fd=folder)

    def open_through(self, path: Path) -> int:
        """An existing device or pipe, opened for writing."""
        return os.open(path, os.O_WRONLY | O_BINARY)

    def open_to_append(self, path: Path) -> int:
        """A file whose every write goes to its end; made if missing. A symbolic link is an error."""
        with anchor.at(path) as (name, folder):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | O_BINARY | O_NOFOLLOW
            return os.open(name, flags, 0o666, dir_fd=folder)

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
        with anchor.at(source) as (old, folder), anchor.at(target) as (new, other):
            os.replace(old, new, src_dir_fd=folder, dst_dir_fd=other)

    def fsync_folder(self, folder: Path) -> None:
        """Wait until a folder's names are on the disk itself."""
        if os.name == "nt":
            return
        with anchor.at(folder) as (name, above):
            descriptor = os.open(name, os.O_RDONLY | O_DIRECTORY, dir_fd=above)
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
        with anchor.at(folder) as (name, above):
            os.mkdir(name, dir_fd=above)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        with anchor.at(path) as (name, folder):
            os.unlink(name, dir_fd=folder)

    def remove_folder(self, folder: Path) -> None:
        """Remove an empty folder."""
        with anchor.at(folder) as (name, above):
            os.rmdir(name, dir_fd=above)

    def free_bytes(self, folder: Path) -> int:
        """Bytes that this user may still write there."""
        return shutil.disk_usage(folder).free
