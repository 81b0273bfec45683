"""One command at a time on a folder: a lock on the file ``.lock`` in it, which ends with its process.

The kernel holds the lock (``flock``; on Windows a locked byte), so however the process ends, SIGKILL and
power cuts included, nothing stale is left to be removed by hand. In the file stands who holds the lock, for
the refusal's message. ``require`` compares the file with the one that was locked, so that a command whose
folder was removed or replaced ends, and writes nothing into the folder that has its name.

Where a disk knows no locks (some network disks) the name in the file is the lock: it ends with its process,
too, for commands on the same machine; a command on another one is refused until the name is removed.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from pantoum.errors import FormatError, RunError
from pantoum.formats import bounded, durable, plain_json
from pantoum.formats.system_calls import translated

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

LOCK_NAME = ".lock"
MOST_BYTES = 1000
LOCKED_BYTE = 1 << 30
"""On Windows: far behind the name, which others can so read."""
PAUSE = 0.05


class RunLock:
    """Held inside ``with RunLock(run_folder):``; a second one is refused with ``RunError``."""

    def __init__(self, run_folder: Path | str) -> None:
        self.run_folder = Path(run_folder)
        self._path = self.run_folder / LOCK_NAME
        self._descriptor: int | None = None

    def __enter__(self) -> RunLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock or raise ``RunError`` naming who has it; the run folder must exist."""
        name = str(self.run_folder)
        if self._descriptor is not None:
            raise RunError(f"the run folder {name!r} is locked by this command itself; release it first")
        with translated("lock the run folder by", self._path):
            self._descriptor = durable.system.open_to_append(self._path)
        try:
            taken, advice = _taken(self._descriptor), ""
        except OSError as problem:
            taken = held(self.run_folder) is False
            advice = f"; this disk has no locks ({problem.strerror}): if nobody uses it, remove its '.lock'"
        try:
            if not taken:
                raise RunError(
                    f"the run folder {name!r} is in use by {_holder(self._path)}; wait until it ends, "
                    f"or give this run another folder{advice}"
                )
            self.require()
        except BaseException:
            self._close()
            raise
        with suppress(OSError):  # the name is a courtesy; a full disk does not undo the lock
            durable.system.truncate(self._descriptor, 0)
            holder = {"host": socket.gethostname(), "pid": os.getpid()}
            durable.system.write(self._descriptor, plain_json.encode(holder))

    def require(self) -> None:
        """Raise ``RunError`` if the folder's ``.lock`` is not the one that was locked; ``StorageError`` if
        the disk does not say. Two system calls."""
        if self._descriptor is None:
            return
        with translated("read", self._path):
            try:
                same = os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
            except (FileNotFoundError, NotADirectoryError):
                same = False
        if not same:
            raise RunError(
                f"the run folder {str(self.run_folder)!r} was removed or replaced while this command used "
                "it: nothing more is written; begin a new run, and remove only folders that no command uses"
            )

    def release(self) -> None:
        """Give the lock back; nothing happens where it is not held."""
        self.remove_name()
        self._close()

    def remove_name(self) -> None:
        """Remove who holds the lock from its file, if that is not done; the lock is held on."""
        with suppress(OSError):
            if self._descriptor is not None and os.fstat(self._descriptor).st_size:
                durable.system.truncate(self._descriptor, 0)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


@contextmanager
def waited_for(folder: Path) -> Iterator[bool]:
    """Hold a lock on a folder itself, on Windows on a file in it, and wait for it; whether there was
    something to wait for. Where a disk has no locks (some network disks) nothing is waited for."""
    with translated("open", folder):
        if fcntl is None:
            descriptor = durable.system.open_to_append(folder / LOCK_NAME)
        else:
            descriptor = os.open(folder, os.O_RDONLY)
    try:
        waited = False
        with suppress(OSError):
            while not _taken(descriptor):
                waited = True
                time.sleep(PAUSE)
        yield waited
    finally:
        os.close(descriptor)
        if fcntl is None:
            with suppress(OSError):  # another has it open, who will remove it
                (folder / LOCK_NAME).unlink()


def _taken(descriptor: int) -> bool:
    """Lock a file; ``False`` if another has it. ``OSError``: this disk has no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError as error:
        if fcntl is not None and error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


def held(run_folder: Path | str) -> bool | None:
    """Whether a process has the run, found without touching its lock; ``None`` where that cannot be known.

    Trying the lock would, for a moment, refuse it to a run that starts just then; so this reads who wrote its
    name, which is cleared when the lock is given back, and looks whether that process lives.
    """
    if fcntl is None:  # os.kill would end the process
        return None
    path = Path(run_folder) / LOCK_NAME
    try:
        content = bounded.read_small(path, MOST_BYTES, FormatError) if path.is_file() else b""
        if not content:
            return False
        name = plain_json.decode(content)
        if name["host"] != socket.gethostname():
            return None
        os.kill(int(name["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except (FormatError, OSError, ValueError, TypeError, KeyError, OverflowError):
        return None
    return True


def _holder(path: Path) -> str:
    """Who wrote its name into the lock file."""
    try:
        name = plain_json.decode(bounded.read_small(path, MOST_BYTES, FormatError))
        return f"process {int(name['pid'])} on {str(name['host'])[:100]!r}"
    except (FormatError, OSError, ValueError, TypeError, KeyError):
        return "another process"
