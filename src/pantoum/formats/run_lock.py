"""One command at a time on a run folder, by a lock that survives no crash and follows its folder.

The lock is an ``flock`` on the folder itself and one on the file ``.lock`` in it. The kernel holds both for
the process, so however the process ends, SIGKILL and power cuts included, the lock ends with it: nothing
stale is ever left to be removed by hand. The folder's lock cannot be removed with a file; the file's holds
where folders cannot be locked (some network disks) and for older versions of pantoum, and in it stands who
holds the lock, for the refusal's message.

The folder stays open while it is locked. What is written beneath it starts from there (``anchor``), and
``require`` compares it with what the path names now, so that a command whose folder was removed or replaced
ends, and writes nothing into the folder that has its name.

Where locks do not exist (Windows) the run goes on unlocked, with a warning.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import warnings
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from pantoum.errors import FormatError, RunError
from pantoum.formats import anchor, bounded, durable, plain_json
from pantoum.formats.refusal import translated

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK_NAME", "RunLock", "held"]

LOCK_NAME = ".lock"
MOST_BYTES = 1000


class RunLock:
    """Held inside ``with RunLock(run_folder):``; a second one is refused with ``RunError``."""

    def __init__(self, run_folder: Path | str) -> None:
        self.run_folder = Path(run_folder)
        self._descriptor: int | None = None
        self._folder: int | None = None
        self._by_file = False
        """Whether the folder cannot be locked, so that the lock is that of the file alone."""

    def __enter__(self) -> RunLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock or raise ``RunError`` naming who has it; the run folder must exist."""
        if self._descriptor is not None:
            raise RunError(
                f"the run folder {str(self.run_folder)!r} is locked by this very command; release it first"
            )
        path = self.run_folder / LOCK_NAME
        try:
            self._by_file = not self._lock_folder()
            with translated("lock the run folder by", path):
                self._descriptor = durable.system.open_to_append(path)
                if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                    raise OSError(errno.EINVAL, "it is not a regular file")
            problem = self._lock(self._descriptor)
            if problem is not None and self._by_file:
                words = f"the run folder {str(self.run_folder)!r} cannot be locked here ({problem.strerror})"
                warnings.warn(f"{words}; start no second command on it", UserWarning, stacklevel=3)
            self.require()
        except BaseException:
            self._close()
            raise
        if os.fstat(self._descriptor).st_nlink > 1:
            return  # Another folder's file too, by a copy of hard links: nothing is written into it.
        holder = {"host": socket.gethostname(), "pid": os.getpid()}
        with suppress(OSError):  # The name is a courtesy; a full disk does not undo the lock.
            durable.system.truncate(self._descriptor, 0)
            durable.system.write(self._descriptor, plain_json.encode(holder))

    def require(self) -> None:
        """Raise ``RunError`` if the run folder, or where only that is locked its ``.lock``, is not what was
        locked any more; ``StorageError`` if the disk does not say. Two system calls."""
        if self._folder is None:
            return
        with translated("read", self.run_folder):
            try:
                same = os.path.samestat(self.run_folder.stat(), os.fstat(self._folder))
                if same and self._by_file and self._descriptor is not None:
                    lock = (self.run_folder / LOCK_NAME).lstat()
                    same = os.path.samestat(lock, os.fstat(self._descriptor))
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
        """Remove who holds the lock from its file; the lock is held on."""
        if self._descriptor is not None:
            with suppress(OSError):
                status = os.fstat(self._descriptor)
                if status.st_nlink == 1 and status.st_size > 0:
                    durable.system.truncate(self._descriptor, 0)

    def _close(self) -> None:
        if self._folder is not None:
            anchor.drop(self.run_folder, self._folder)
        for descriptor in (self._descriptor, self._folder):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = self._folder = None

    def _lock_folder(self) -> bool:
        """Open the folder and lock it; ``False`` where folders cannot be locked."""
        if not anchor.SUPPORTED:
            return False
        with translated("lock the run folder", self.run_folder):
            folder = os.open(self.run_folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            locked = self._lock(folder)
        except BaseException:
            os.close(folder)
            raise
        self._folder = folder
        anchor.hold(self.run_folder, folder)
        return locked is None

    def _lock(self, descriptor: int) -> OSError | None:
        """Lock a file or folder: ``RunError`` if another has it, the system's refusal where it knows no locks
        of it."""
        try:
            if fcntl is None:
                raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"the run folder {str(self.run_folder)!r} is in use by {_holder(self.run_folder)}; "
                "wait until it ends, or give this run another folder"
            ) from None
        except OSError as error:
            return error
        return None


def held(run_folder: Path | str) -> bool | None:
    """Whether a process has the run, found without touching its lock; ``None`` where that cannot be known.

    Trying the lock would, for a moment, refuse it to a run that starts just then; so this reads who wrote its
    name, which is cleared when the lock is given back, and looks whether that process lives.
    """
    if fcntl is None:
        return None
    path = Path(run_folder) / LOCK_NAME
    try:
        content = b""
        if path.is_file():  # A pipe would hang.
            with path.open("rb") as file:
                content = file.read(MOST_BYTES)
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
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None
    return True


def _holder(run_folder: Path) -> str:
    """Who wrote its name into the lock file."""
    try:
        name = plain_json.decode(bounded.read_small(run_folder / LOCK_NAME, MOST_BYTES, FormatError))
        return f"process {int(name['pid'])} on {str(name['host'])[:100]!r}"
    except (FormatError, OSError, ValueError, TypeError, KeyError):
        return "another process"
