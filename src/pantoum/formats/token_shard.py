"""A text as token numbers on disk: flat, checked, and never used but through a copy of our own.

    at        bytes   what
    0         8       b"PANTOUMT"
    8         2       version, 1
    10        1       bytes a token: 1, 2 or 4
    11        1       0
    12        4       vocab_size: every token is below it
    16        8       n, the number of tokens
    24        32      fingerprint of the tokenizer
    56        32      fingerprint of the text
    88        4       CRC-32 of the table at the end
    92        4       CRC-32 of bytes 0 to 91
    96        n w     the tokens, unsigned, w bytes each
    then      4 each  the table: CRC-32 of each MiB of the tokens' bytes, the last of what is left

All numbers are little-endian; nothing follows. ``open`` checks the header, the table, the size, and
whether the fingerprints are those that are wanted, if it is told; it reads no token. What is read later is
checked at that moment, MiB by MiB: against its CRC-32, and each token against the vocabulary's size.

    tokens         all tokens as one array: a copy, made when it is first asked for
    read           some tokens: checks the MiBs that they are in
    blocks         all tokens, one MiB after the other, in bounded memory

What is used is a copy that nobody else can cut or change. Mapping the shard itself would save the copy, but a
file that is cut while it is mapped ends the process (SIGBUS; docs/decisions/037 and 083).
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pantoum.errors import ShardError
from pantoum.formats import bounded, durable
from pantoum.formats.refusal import translated
from pantoum.text.numbers import smallest_dtype

__all__ = ["Shard", "held", "open", "write"]

MAGIC = b"PANTOUMT"
VERSION = 1
HEAD = struct.Struct("<8sHBBIQ32s32sI")
SEALED = struct.Struct("<I")
START = HEAD.size + SEALED.size
BLOCK = 1 << 20
"""Bytes of tokens that one CRC-32 covers."""
MOST_TOKENS = 1 << 40
LARGEST_IN_MEMORY = 64 << 20
"""Bytes of tokens that are copied into memory; what is larger goes to a file without a name."""
DTYPES = {width: smallest_dtype(1 << 8 * width) for width in (1, 2, 4)}
MAKE_IT_ANEW = "prepare the text again"

Array: TypeAlias = "NDArray[np.unsignedinteger[Any]]"


@dataclass(frozen=True)
class ShardHeader:
    """What a header says."""

    dtype: np.dtype[np.unsignedinteger[Any]]
    count: int
    vocab_size: int
    tokenizer: bytes
    text: bytes


class Shard:
    """A token shard whose header and table were verified.

    The file stays open, so that what is read later is the file that was opened, whatever its name means then.
    """

    def __init__(self, path: Path, descriptor: int, head: ShardHeader, table: NDArray[np.uint32]) -> None:
        self.path = path
        self.count = head.count
        """How many tokens there are."""
        self.vocab_size = head.vocab_size
        """Every token is below it."""
        self.tokenizer_fingerprint = head.tokenizer
        self.text_fingerprint = head.text
        self._descriptor, self._head, self._table = descriptor, head, table
        self._size = head.count * head.dtype.itemsize
        self._close = weakref.finalize(self, os.close, descriptor)

    def __len__(self) -> int:
        return self.count

    @property
    def fits_memory(self) -> bool:
        """Whether ``tokens`` is held in memory. A larger shard is better read range by range."""
        return self._size <= LARGEST_IN_MEMORY

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The type of the tokens as they are read."""
        return self._head.dtype

    @cached_property
    def tokens(self) -> Array:
        """All tokens, read-only: verified, and a copy of our own, made when it is first asked for.

        ``ShardError``: the file has been cut or changed. What is larger than ``LARGEST_IN_MEMORY`` is copied
        into a file without a name, which is mapped: a text may be larger than memory.
        """
        size = self._size
        if self.fits_memory:
            data, end = np.empty(size, np.uint8), 0
            for block in self._blocks():
                data[end : end + len(block)] = block
                end += len(block)
        else:
            data = self._copied()
        self._close()
        tokens: Array = data.view(self._head.dtype)
        tokens.flags.writeable = False
        return tokens

    def read(self, start: int, stop: int) -> Array:
        """The tokens from ``start`` to before ``stop``, a copy. ``ShardError``: a MiB that they are in has
        been cut or changed, or cannot be read."""
        start, stop = max(0, start), min(stop, self.count)
        if not self._close.alive:
            return self.tokens[start:stop]
        width = self._head.dtype.itemsize
        begin, end = start * width, stop * width
        data = np.empty(max(0, end - begin), np.uint8)
        for number in range(begin // BLOCK, -(-end // BLOCK)):
            first = number * BLOCK
            block = self._block(number)[max(0, begin - first) : end - first]
            at = max(0, first - begin)
            data[at : at + len(block)] = block
        found: Array = data.view(self._head.dtype)
        return found

    def blocks(self) -> Iterator[Array]:
        """All tokens in order, about one MiB at a time, without a copy of the whole; ``ShardError`` as
        ``read``."""
        step = BLOCK // self._head.dtype.itemsize
        return (self.read(start, start + step) for start in range(0, self.count, step))

    def verify(self) -> None:
        """Read all tokens and keep none; ``ShardError`` where ``tokens`` would refuse them."""
        for _ in self._blocks() if self._close.alive else ():
            pass

    def _blocks(self) -> Iterator[NDArray[np.uint8]]:
        """Each MiB of the tokens' bytes, once it matches the table and the vocabulary."""
        return map(self._block, range(-(-self._size // BLOCK)))

    def _block(self, number: int) -> NDArray[np.uint8]:
        """One of them."""
        begin = number * BLOCK
        block = np.empty(min(BLOCK, self._size - begin), np.uint8)
        with _told(self.path):
            file = FileIO(self._descriptor, closefd=False)
            file.seek(START + begin)
            if bounded.fill(file, block.data) != block.size:
                raise ValueError("it was cut while it was in use")
            if zlib.crc32(block.data) != self._table[number]:
                raise ValueError(f"its MiB {number} does not match its checksum")
            if int(block.view(self._head.dtype).max()) >= self.vocab_size:
                raise ValueError(f"its MiB {number} holds a token that its vocabulary lacks")
        return block

    def _copied(self) -> NDArray[np.uint8]:
        """The tokens' bytes in a file that has no name, so that nobody can cut it, mapped."""
        folder = self.path.parent
        with translated("copy tokens to", folder), _nameless(folder) as copy:
            for block in self._blocks():
                copy.write(block.data)
            copy.flush()
            return np.frombuffer(mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def held(blocks: Iterable[Array], vocab_size: int) -> Shard:
    """Blocks of numbers as a shard that no folder holds: in memory, or, what is larger than
    ``LARGEST_IN_MEMORY``, in a file without a name, which is mapped."""
    dtype, data, file = smallest_dtype(vocab_size), bytearray(), None
    for block in blocks:
        data += np.ascontiguousarray(block, dtype).view(np.uint8).data
        if len(data) > LARGEST_IN_MEMORY:
            file = tempfile.TemporaryFile(prefix="pantoum-") if file is None else file  # noqa: SIM115
            with translated("write in", Path(tempfile.gettempdir())):
                file.write(data)
            data.clear()
    kept: bytearray | mmap.mmap = data
    if file is not None:
        with translated("write in", Path(tempfile.gettempdir())), file:
            file.write(data)
            file.flush()
            kept = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    tokens: Array = np.frombuffer(kept, dtype)
    tokens.flags.writeable = False
    shard = Shard(Path(), -1, ShardHeader(dtype, len(tokens), vocab_size, b"", b""), np.zeros(0, np.uint32))
    shard._close.detach()  # there is no file to close
    shard.tokens = tokens
    return shard


def write(
    path: Path | str,
    blocks: Iterable[Array],
    vocab_size: int,
    tokenizer_fingerprint: bytes,
    text_fingerprint: Callable[[], bytes],
) -> int:
    """Write a shard from blocks of numbers, in the narrowest width that holds them; return how many came.

    The file appears whole, under its name, when the last block is written; only then is the text's
    fingerprint asked for, as a text that streams has none before.
    """
    target = Path(path)
    temporary = durable.temporary_beside(target)
    with durable.remove_on_failure(temporary):
        descriptor = durable.create(temporary)
        try:
            count = _write(descriptor, target, blocks, vocab_size, tokenizer_fingerprint, text_fingerprint)
            durable.fsync(descriptor, temporary)
        except BaseException:
            with suppress(OSError):
                durable.system.close(descriptor)
            raise
        with translated("write", target):
            durable.system.close(descriptor)
        durable.publish(temporary, target)
    return count


def _write(
    descriptor: int,
    path: Path,
    blocks: Iterable[Array],
    vocab_size: int,
    tokenizer_fingerprint: bytes,
    text_fingerprint: Callable[[], bytes],
) -> int:
    dtype = smallest_dtype(vocab_size)
    durable.write(descriptor, bytes(START), path)
    table: list[int] = []
    size = check = 0
    for block in blocks:
        # An index is cheap beside a wrong number that a narrower type would fold into a right one.
        if len(block) and int(np.max(block)) >= vocab_size:
            raise AssertionError(f"token {int(np.max(block))} of a vocabulary of {vocab_size}")
        data = memoryview(np.ascontiguousarray(block, dtype).view(np.uint8).data)
        durable.write(descriptor, data, path)
        while data:
            room = BLOCK - size % BLOCK
            check = zlib.crc32(data[:room], check)
            size += len(data[:room])
            data = data[room:]
            if size % BLOCK == 0:
                table.append(check)
                check = 0
    if size % BLOCK:
        table.append(check)
    packed = np.asarray(table, "<u4").tobytes()
    durable.write(descriptor, packed, path)
    count = size // dtype.itemsize
    head = HEAD.pack(
        MAGIC,
        VERSION,
        dtype.itemsize,
        0,
        vocab_size,
        count,
        tokenizer_fingerprint,
        text_fingerprint(),
        zlib.crc32(packed),
    )
    with translated("write", path):
        os.lseek(descriptor, 0, os.SEEK_SET)
    durable.write(descriptor, head + SEALED.pack(zlib.crc32(head)), path)
    return count


def open(
    path: Path | str, tokenizer_fingerprint: bytes | None = None, text_fingerprint: bytes | None = None
) -> Shard:
    """Open a shard; ``ShardError`` if it is foreign, cut, changed, or not the one with these fingerprints."""
    name = str(path)
    with bounded.opened(path, ShardError) as (file, size):
        start = bytearray(START)
        if bounded.fill(file, memoryview(start)) != START or not start.startswith(MAGIC):
            raise ShardError(f"{name!r} is no token shard; {MAKE_IT_ANEW}")
        _, version, width, zero, vocab_size, count, tokenizer, text, table_check = HEAD.unpack_from(start)
        if version != VERSION:
            raise ShardError(
                f"{name!r} is a token shard of version {version}, known here is {VERSION}; "
                f"use a newer pantoum, or {MAKE_IT_ANEW}"
            )
        with _told(Path(path)):
            sealed = SEALED.unpack_from(start, HEAD.size)[0] == zlib.crc32(start[: HEAD.size])
            if not sealed or width not in DTYPES or zero or count > MOST_TOKENS:
                raise ValueError("its header does not match its checksum")
            end, blocks = START + count * width, -(-count * width // BLOCK)
            if size != end + 4 * blocks:
                raise ValueError(f"it has {size:,} bytes, not {end + 4 * blocks:,}")
            table = np.empty(blocks, "<u4")
            file.seek(end)
            if bounded.fill(file, table.view(np.uint8).data) != table.nbytes:
                raise ValueError("it was cut while being read")
            if zlib.crc32(table.data) != table_check:
                raise ValueError("its table of checksums has changed")
        wants = ((tokenizer_fingerprint, tokenizer, "tokenizer"), (text_fingerprint, text, "text"))
        for wanted, found, what in wants:
            if wanted is not None and wanted != found:
                raise ShardError(f"{name!r} was made with another {what}; {MAKE_IT_ANEW}")
        kept = os.dup(file.fileno())
    return Shard(Path(path), kept, ShardHeader(DTYPES[width], count, vocab_size, tokenizer, text), table)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What is wrong with a shard, as a line that names it."""
    try:
        yield
    except (ValueError, MemoryError) as problem:
        words = str(problem) or "it does not fit into memory"
        raise ShardError(f"{str(path)!r} is damaged: {words}; {MAKE_IT_ANEW}") from None
    except OSError as problem:
        raise ShardError(
            f"cannot read {str(path)!r}: {problem.strerror or problem}; check the disk that it is on"
        ) from problem


def _nameless(folder: Path) -> IO[bytes]:
    """A temporary file on the shard's disk, or, where that folder cannot be written to, where others go."""
    try:
        return tempfile.TemporaryFile(dir=folder, prefix=".", suffix=".pantoum-tmp")
    except OSError:
        return tempfile.TemporaryFile(prefix="pantoum-")
