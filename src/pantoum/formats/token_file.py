"""The tokens of a text, read by ranges: from a prepared file, or from what no folder holds.

A prepared file is a container with the arrays ``train`` and ``valid`` (flat uint8, uint16 or uint32) and
``about``, JSON that says of which text they are (``data.prepared_file``). Its SHA-256 is verified when it is
opened; a range is then a copy of its own, so that a file that is cut while it is in use is an error of the
reading, and never the end of the process.
"""

from __future__ import annotations

import mmap
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from pantoum.errors import ShardError
from pantoum.formats.container import Kind, OpenFile
from pantoum.formats.system_calls import translated
from pantoum.text.numbers import smallest_dtype

NAME = "prepared.safetensors"
"""The file of a prepared folder."""
PREPARED = Kind(
    "prepared text",
    1,
    ShardError,
    "prepare the text again",
    {"uint8": "U8", "uint16": "U16", "uint32": "U32"},
)
BLOCK = 1 << 20
"""Bytes of the tokens that ``blocks`` gives at a time."""
LARGEST_IN_MEMORY = 64 << 20
"""Bytes of tokens that are held in memory; what is larger is in a file."""

Array: TypeAlias = "NDArray[np.unsignedinteger[Any]]"


class StoredTokens:
    """The tokens of one part of a text."""

    def __init__(
        self,
        read: Callable[[int, int], Array],
        count: int,
        vocab_size: int,
        fingerprints: tuple[bytes, bytes] = (b"", b""),
        path: Path | None = None,
        close: Callable[[], object] = lambda: None,
    ) -> None:
        """``close``: called when ``read`` is not needed any more."""
        self._read, self.path = read, path
        self._close = weakref.finalize(self, close)
        self.count = count
        """How many tokens there are."""
        self.vocab_size = vocab_size
        """Every token is below it."""
        self.dtype = smallest_dtype(vocab_size)
        """The type of the tokens as they are read."""
        self.tokenizer_fingerprint, self.text_fingerprint = fingerprints

    def __len__(self) -> int:
        return self.count

    @property
    def fits_memory(self) -> bool:
        """Whether ``tokens`` is held in memory. A larger text is better read range by range."""
        return self.count * self.dtype.itemsize <= LARGEST_IN_MEMORY

    def read(self, start: int, stop: int) -> Array:
        """The tokens from ``start`` to before ``stop``, a copy. ``ShardError``: they cannot be read."""
        start, stop = max(0, start), min(stop, self.count)
        tokens = self._read(start, max(start, stop))
        if tokens.size and int(np.max(tokens)) >= self.vocab_size:
            raise ShardError(f"{str(self.path)!r} was changed while it was in use; {PREPARED.advice}")
        return tokens

    def blocks(self) -> Iterator[Array]:
        """All tokens in order, about one MiB at a time."""
        step = BLOCK // self.dtype.itemsize
        return (self.read(start, start + step) for start in range(0, self.count, step))

    @cached_property
    def tokens(self) -> Array:
        """All tokens, read-only: a copy of our own, made when it is first asked for. What is larger than
        ``LARGEST_IN_MEMORY`` is copied into a file without a name, which is mapped: nobody can cut it."""
        if self.fits_memory:
            tokens = self.read(0, self.count)
        else:
            folder = Path(tempfile.gettempdir()) if self.path is None else self.path.parent
            with translated("copy tokens to", folder), _nameless(folder) as copy:
                for block in self.blocks():
                    copy.write(block.data)
                copy.flush()
                tokens = np.frombuffer(mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ), self.dtype)
        tokens.flags.writeable = False
        self._read = lambda start, stop: tokens[start:stop].copy()
        self._close()
        return tokens


def of_file(file: OpenFile, part: str) -> StoredTokens:
    """The tokens of a part of a prepared file. ``ShardError``: it is none that its metadata describes."""
    vocab_size, name = file.body.get("vocab_size"), str(file.path)
    if not isinstance(vocab_size, int) or file.dtype(part) != smallest_dtype(vocab_size):
        raise ShardError(f"the tokens of {name!r} are not those of its vocabulary; {PREPARED.advice}")
    fingerprints = tuple(bytes.fromhex(str(file.body.get(key, ""))) for key in ("tokenizer", part))
    return StoredTokens(
        lambda start, stop: file.read(part, start, stop),
        file.size(part),
        vocab_size,
        (fingerprints[0], fingerprints[1]),
        file.path,
    )


def held(blocks: Iterable[NDArray[np.unsignedinteger[Any]]], vocab_size: int) -> StoredTokens:
    """Blocks of numbers that no folder holds: in memory, or, what is larger than ``LARGEST_IN_MEMORY``, in a
    file without a name."""
    dtype, count = smallest_dtype(vocab_size), 0
    file = tempfile.SpooledTemporaryFile(LARGEST_IN_MEMORY, prefix="pantoum-")  # noqa: SIM115
    try:
        for block in blocks:
            count += len(block)
            with translated("write in", Path(tempfile.gettempdir())):
                file.write(np.ascontiguousarray(block, dtype).view(np.uint8).data)
    except BaseException:
        file.close()
        raise

    def read(start: int, stop: int) -> Array:
        file.seek(start * dtype.itemsize)
        return np.frombuffer(file.read((stop - start) * dtype.itemsize), dtype)

    return StoredTokens(read, count, vocab_size, close=file.close)


def _nameless(folder: Path) -> Any:
    """A temporary file on the disk of a folder, or, where that cannot be written to, where others go."""
    try:
        return tempfile.TemporaryFile(dir=folder, prefix=".", suffix=".pantoum-tmp")
    except OSError:
        return tempfile.TemporaryFile(prefix="pantoum-")


Tokens: TypeAlias = "npt.NDArray[np.generic]"
MOST = 16 << 20
"""Bytes of all windows of a text."""
LEAST = 1 << 14
"""Bytes of a window, however many rows there are."""
LARGEST = 1 << 20
"""Bytes of a window, however few rows there are."""


class RangedRows:
    """The rows of a text that is larger than memory, read range by range.

    Each row has a window of the text, and all windows together have at most ``MOST`` bytes, however large the
    text is. A file that is cut meanwhile is an error of the batch that needs what is gone."""

    def __init__(self, stored: StoredTokens, batch_size: int) -> None:
        self._stored = stored
        size = LARGEST
        while size > LEAST and size * batch_size > MOST:
            size //= 2
        self._window = size // stored.dtype.itemsize
        """A window ends at a multiple of so many tokens: only a batch that crosses one reads two MiBs."""
        self._windows = [(0, np.empty(0, stored.dtype))] * batch_size

    def read(self, starts_B: npt.NDArray[np.int64], count: int) -> Tokens:
        """Copies of so many tokens from each start on. ``ShardError``: the file has been cut or changed."""
        found_BT = np.empty((len(starts_B), count), self._stored.dtype)
        for row, start in enumerate(starts_B.tolist()):
            found_BT[row] = self._tokens(row, start, count)
        return found_BT

    def _tokens(self, row: int, start: int, count: int) -> Tokens:
        """Tokens of a row, from its window; where they are not all in it, a new one is read."""
        first, window = self._windows[row]
        if not first <= start <= start + count <= first + len(window):
            first, end = start, start + count
            window = self._stored.read(first, end + -end % self._window)
            self._windows[row] = first, window
        return window[start - first :][:count]
