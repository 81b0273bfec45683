"""A file's bytes without a copy, for as long as one ``with`` lasts.

A mapped file that someone cuts kills the process (SIGBUS), and one that is overwritten in place changes under
its reader. So a map never outlives the loading: what is needed afterwards is copied or packed within the
``with``, some hundredths of a second, and the pages are given back at its end. Whoever replaces a model as we
do, by renaming, does not touch the mapped file at all (docs/decisions/033).

Where a file cannot be mapped it is read into memory of our own, as every other file of ours.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO

import numpy as np
import numpy.typing as npt

from pantoum.formats import bounded

__all__ = ["contents"]

Bytes = npt.NDArray[np.uint8]


@contextmanager
def contents(file: FileIO, size: int) -> Iterator[Bytes]:
    """The whole file, read-only; ``ValueError`` where it was cut since it was opened.

    Views of it must not outlive the ``with``: the map is closed at its end, which they would prevent.
    """
    try:
        mapping = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # a file system without maps, an empty file, one that was cut
        data = np.empty(size, np.uint8)
        if bounded.fill(file, data.data) != size:
            raise ValueError("it was cut while being read") from None
        yield data
        return
    try:
        yield np.frombuffer(mapping, np.uint8)
    finally:
        with suppress(BufferError):  # a view that an error's traceback still holds: it goes with that
            mapping.close()
