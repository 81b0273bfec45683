"""One command at a time on a run folder, by a lock that survives no crash.

The lock is an ``flock`` on the file ``.lock`` in the run folder. The kernel holds it for the process, so
however the process ends, SIGKILL and power cuts included, the lock ends with it: nothing stale is ever left
to be removed by hand. The file itself stays; in it stands who holds the lock, for the refusal's message.
It is never removed, because two processes could then hold locks on two files of one name.

Where locks do not exist (Windows, some network disks) the run goes on unlocked, with a warning.
"""

from __future__ import annotations

import errno
import os
import socket
import warnings
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from pantoum.errors import RunError
from pantoum.formats import durable, plain_json
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
        with translated("lock the run folder by", path):
            descriptor = durable.system.open_to_append(path)
        try:
            self._lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        holder = {"host": socket.gethostname(), "pid": os.getpid()}
        with suppress(OSError):  # The name is a courtesy; a full disk does not undo the lock.
            durable.system.truncate(descriptor, 0)
            durable.system.write(descriptor, plain_json.encode(holder))

    def release(self) -> None:
        """Give the lock back; nothing happens where it is not held."""
        if self._descriptor is not None:
            with suppress(OSError):
                durable.system.truncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, descriptor: int) -> None:
        try:
            if fcntl is None:
                raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"the run folder {str(self.run_folder)!r} is in use by {_holder(descriptor)}; "
                "wait until it ends, or give this run another folder"
            ) from None
        except OSError as error:
            words = f"the run folder {str(self.run_folder)!r} cannot be locked here ({error.strerror})"
            warnings.warn(f"{words}; start no second command on it", UserWarning, stacklevel=4)


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


def _holder(descriptor: int) -> str:
    """Who wrote its name into the lock file."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        name = plain_json.decode(os.read(descriptor, MOST_BYTES))
        return f"process {int(name['pid'])} on {str(name['host'])[:100]!r}"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"
