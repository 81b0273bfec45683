"""What the system's refusals mean and what to do about them, in one line.

An ``OSError`` becomes a ``StorageError`` that names what was tried, the path, the errno's meaning and the
next step. The ``OSError`` stays its ``__cause__``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pantoum.errors import StorageError

__all__ = ["storage_error", "translated"]

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
    errno.ELOOP: ("a symbolic link is in its place", "put what it names there instead of the link"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
    errno.EMFILE: ("too many files are open", "close other programs or raise `ulimit -n`"),
    errno.ENFILE: ("too many files are open", "close other programs or raise `ulimit -n`"),
}


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
