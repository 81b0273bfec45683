"""A text as it comes: a file a part at a time, or stdin with whatever is there by now.

Nothing waits for a part to be full, so that who writes into a pipe a line at a time is answered a line at a
time.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pantoum.errors import TextError

__all__ = ["parts"]

PART = 1 << 16


def parts(name: str | os.PathLike[str]) -> Iterator[bytes]:
    """The bytes of a file, or of stdin where the name is ``-``, as they come; it is opened here and now."""
    name = os.fspath(name)
    if name != "-":
        try:
            return _read(Path(name).open("rb"))
        except OSError as error:
            raise TextError(
                f"text {name!r} cannot be read: {error.strerror}; give a text file, or - for stdin"
            ) from None
    if sys.stdin is None:
        raise TextError("text is '-': stdin is closed; give a file, or a text on stdin")
    return _read(sys.stdin.buffer, close=False)


def _read(file: BinaryIO, close: bool = True) -> Iterator[bytes]:
    read = getattr(file, "read1", file.read)
    with file if close else contextlib.nullcontext():
        while data := read(PART):
            yield data
