"""A file's bytes for as long as one ``with`` lasts: a large file's without a copy.

A mapped file that someone cuts kills the process (SIGBUS), and one that is overwritten in place changes under
its reader. So what is at most ``LARGEST_COPY`` is read into memory of our own, which costs 0.1 to 0.2
milliseconds a megabyte. Only what is larger is mapped, and the map never outlives the loading: what is needed
afterwards is copied or packed within the ``with``, and the pages are given back at its end. Whoever replaces
a model as we do, by renaming, does not touch the mapped file at all (docs/decisions/033).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO

import numpy as np
import numpy.typing as npt

from pantoum.formats import bounded

__all__ = ["LARGEST_COPY", "contents"]

LARGEST_COPY = 64_000_000
"""Bytes; a model that was trained in minutes has 5 to 20 million."""

Bytes = npt.NDArray[np.uint8]


@contextmanager
def contents(file: FileIO, size: int) -> Iterator[Bytes]:
    """The whole file, read-only; ``ValueError`` where it was cut since it was opened.

    Views of it must not outlive the ``with``: a map is closed at its end, which they would prevent.
    """
    mapping = _map(file, size) if size > LARGEST_COPY else None
    if mapping is None:
        data = np.empty(size, np.uint8)
        if bounded.fill(file, data.data) != size:
            raise ValueError("it was cut while being read")
        yield data
        return
    try:
        yield np.frombuffer(mapping, np.uint8)
    finally:
        with suppress(BufferError):  # a view that an error's traceback still holds: it goes with that
            mapping.close()


def _map(file: FileIO, size: int) -> mmap.mmap | None:
    """``None`` on a file system without maps, and where the file was cut."""
    try:
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
