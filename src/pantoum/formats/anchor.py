"""Folders that are held open, so that what is written beneath them lands in them and nowhere else.

A path is looked up again by every system call. If a folder is removed and made anew, or a link takes the
place of a file, between two calls or two hours, a path leads into files of someone else. So the holder of a
run's lock keeps the folder's descriptor here, and every call of ``system_calls`` that writes beneath the
folder starts from that descriptor, takes one component after the other, and follows no symbolic link. In a
folder that was removed such a call fails; in one that was renamed it reaches the renamed folder.

Where the system has no such calls (Windows) nothing is held and paths are used as they are.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["SUPPORTED", "at", "beneath", "drop", "hold"]

SUPPORTED = hasattr(os, "O_NOFOLLOW") and os.open in os.supports_dir_fd
STEP = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)

_held: dict[Path, int] = {}
"""The descriptor of each folder that is held, by its absolute path."""


def hold(folder: Path, descriptor: int) -> None:
    """From now on reach what is beneath ``folder`` by its descriptor; the caller closes the descriptor."""
    _held[folder.absolute()] = descriptor


def drop(folder: Path, descriptor: int) -> None:
    """Reach what is beneath ``folder`` by its path again, unless someone else holds it by now."""
    if _held.get(folder.absolute()) == descriptor:
        del _held[folder.absolute()]


def beneath(path: Path) -> bool:
    """Whether a path is beneath a folder that is held."""
    return _found(path) is not None


@contextmanager
def at(path: Path) -> Iterator[tuple[Path | str, int | None]]:
    """A name and the descriptor of the folder that has it, or the path itself and ``None``.

    ``OSError`` with ``ELOOP`` if a folder on the way is a symbolic link.
    """
    found = _found(path)
    if found is None:
        yield path, None
        return
    held, (*folders, name) = found
    opened = [held]
    try:
        for folder in folders:
            opened.append(_step(folder, opened[-1]))
        yield name, opened[-1]
    finally:
        for descriptor in opened[1:]:
            os.close(descriptor)


def _found(path: Path) -> tuple[int, tuple[str, ...]] | None:
    """The descriptor of the folder that is held above ``path``, and the names from there on."""
    if not _held:
        return None
    absolute = path.absolute()
    for folder in absolute.parents:
        if folder in _held and ".." not in absolute.parts:
            return _held[folder], absolute.parts[len(folder.parts) :]
    return None


def _step(folder: str, within: int) -> int:
    try:
        return os.open(folder, STEP, dir_fd=within)
    except NotADirectoryError:
        # Linux reports a link so, if a folder was asked for.
        os.readlink(folder, dir_fd=within)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
