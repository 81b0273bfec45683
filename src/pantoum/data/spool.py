"""Provisional token numbers on disk, until the text has been read and their final numbers are known.

Each block is kept in the width of the numbers that it came in, so an ASCII text costs one byte a character.
The file is ours alone, without a name where the system allows it, and nothing of it outlives the process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from pantoum.formats.refusal import translated
from pantoum.text.numbers import Numbers

__all__ = ["Spool"]


class Spool:
    """A list of blocks of numbers that is not held in memory; a context manager. ``folder``: where its file
    is (by default, where temporary files are)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        with translated("write in", self._folder):
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".", suffix=".pantoum-tmp")  # noqa: SIM115
        self._blocks: list[tuple[np.dtype[np.generic], int]] = []

    def append(self, block: Numbers) -> None:
        """Keep a block."""
        with translated("write in", self._folder):
            self._file.write(np.ascontiguousarray(block).tobytes())
        self._blocks.append((block.dtype, len(block)))

    def blocks(self) -> Iterator[Numbers]:
        """The blocks, in order."""
        with translated("write in", self._folder):
            self._file.seek(0)
        for dtype, count in self._blocks:
            yield np.frombuffer(self._file.read(count * dtype.itemsize), dtype)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
