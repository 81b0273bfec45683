"""What a process that was killed left beside a file or folder that it was writing.

A file is written under a temporary name beside its own (``durable``). While it is written its process locks
it, so what is not locked was left behind, and ``clear`` removes it before the same file is written again.
Without locks (Windows) a file that is open cannot be removed anyway.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pantoum.errors import StorageError
from pantoum.formats import durable

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

__all__ = ["clear", "lock"]


def lock(descriptor: int) -> bool:
    """Lock a new file or folder until it is closed; false: somebody has taken it for left behind, and removed
    it."""
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    return os.fstat(descriptor).st_nlink > 0


def clear(target: Path) -> None:
    """Remove what was left behind of this file or folder."""
    with suppress(OSError):
        for path in list(target.parent.iterdir()):
            found = durable.TEMPORARY.fullmatch(path.name)
            if found is not None and found[1] == target.name[:40]:
                with suppress(OSError, StorageError):
                    _remove(path)


def _remove(path: Path) -> None:
    if fcntl is None:
        durable.remove_tree(path)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        durable.remove_tree(path)
    finally:
        os.close(descriptor)
