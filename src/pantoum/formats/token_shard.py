"""A text as token numbers on disk: flat, memory-mapped, and checked where it is read.

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

All numbers are little-endian; nothing follows. ``open`` checks the header, the table and the size, and maps
the tokens; each MiB is checked against the table when it is first read, so a shard larger than memory opens
at once and no changed byte is ever trained on. Whether the fingerprints are those that are wanted is
checked by ``open`` too, if it is told. A file that someone cuts *while* it is mapped ends the process
(SIGBUS): that is the price of a map, and nothing of ours cuts one.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from pantoum.errors import ShardError
from pantoum.formats import bounded, durable
from pantoum.formats.refusal import translated
from pantoum.text.numbers import smallest_dtype

__all__ = ["CheckedTokens", "Shard", "open", "write"]

MAGIC = b"PANTOUMT"
VERSION = 1
HEAD = struct.Struct("<8sHBBIQ32s32sI")
SEALED = struct.Struct("<I")
START = HEAD.size + SEALED.size
BLOCK = 1 << 20
"""Bytes of tokens that one CRC-32 covers."""
MOST_TOKENS = 1 << 40
DTYPES = {width: smallest_dtype(1 << 8 * width) for width in (1, 2, 4)}
MAKE_IT_ANEW = "prepare the text again"

Array: TypeAlias = "NDArray[np.unsignedinteger[Any]]"


class CheckedTokens:
    """The tokens of a shard, much like a read-only array of one axis.

    Indexing checks the MiBs that it touches, each once, and gives plain arrays (views of the map where NumPy
    gives views); ``np.asarray`` checks them all.
    """

    def __init__(self, tokens: Array, table: NDArray[np.uint32], name: str) -> None:
        self._tokens, self._table, self._name = tokens, table, name
        self._unchecked = np.ones(len(table), np.bool_)
        self.dtype = tokens.dtype
        self.shape: tuple[int] = (len(tokens),)
        self.ndim, self.size = 1, len(tokens)

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice | NDArray[Any] | list[int]) -> Array: ...
    def __getitem__(self, key: int | slice | NDArray[Any] | list[int]) -> int | Array:
        if isinstance(key, slice):
            places = range(self.size)[key]
            if places:
                self._check(min(places[0], places[-1]), max(places[0], places[-1]))
            return self._tokens[key]
        if isinstance(key, (np.ndarray, list)):
            given = np.asarray(key)
            chosen = np.flatnonzero(given) if given.dtype == np.bool_ else given.astype(np.int64)
            if chosen.size:
                low, high = int(np.min(chosen)), int(np.max(chosen))
                self._check(0 if low < 0 else low, self.size - 1 if low < 0 else high)
            return self._tokens[chosen]
        place = range(self.size)[key]
        self._check(place, place)
        return int(self._tokens[place])

    def __iter__(self) -> Iterator[int]:
        return iter(np.asarray(self).tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if self.size:
            self._check(0, self.size - 1)
        return np.array(self._tokens, dtype) if copy else np.asarray(self._tokens, dtype)

    def _check(self, first: int, last: int) -> None:
        """Check the MiBs from token ``first`` to token ``last`` that have not been checked yet."""
        width = self.dtype.itemsize
        begin, end = first * width // BLOCK, min(last, self.size - 1) * width // BLOCK + 1
        flat = self._tokens.view(np.uint8).data
        for block in (np.flatnonzero(self._unchecked[begin:end]) + begin).tolist():
            if zlib.crc32(flat[block * BLOCK : (block + 1) * BLOCK]) != self._table[block]:
                raise ShardError(
                    f"{self._name!r} is damaged: its MiB {block} does not match its checksum; {MAKE_IT_ANEW}"
                )
            self._unchecked[block] = False


class Shard:
    """An open token shard."""

    def __init__(
        self,
        path: Path,
        tokens: CheckedTokens,
        vocab_size: int,
        tokenizer_fingerprint: bytes,
        text_fingerprint: bytes,
    ) -> None:
        self.path = path
        self.tokens = tokens
        """The tokens; checked where they are read."""
        self.count = len(tokens)
        """How many there are."""
        self.vocab_size = vocab_size
        """Every token is below it."""
        self.tokenizer_fingerprint = tokenizer_fingerprint
        self.text_fingerprint = text_fingerprint


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
            count = _write(descriptor, temporary, blocks, vocab_size, tokenizer_fingerprint, text_fingerprint)
            durable.fsync(descriptor, temporary)
        except BaseException:
            with suppress(OSError):
                durable.system.close(descriptor)
            raise
        with translated("write", temporary):
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
        head = bytearray(START)
        if bounded.fill(file, memoryview(head)) != START or not head.startswith(MAGIC):
            raise ShardError(f"{name!r} is no token shard; {MAKE_IT_ANEW}")
        _, version, width, zero, vocab_size, count, tokenizer, text, table_check = HEAD.unpack_from(head)
        if version != VERSION:
            raise ShardError(
                f"{name!r} is a token shard of version {version}, known here is {VERSION}; "
                f"use a newer pantoum, or {MAKE_IT_ANEW}"
            )
        sealed = SEALED.unpack_from(head, HEAD.size)[0] == zlib.crc32(head[: HEAD.size])
        if not sealed or width not in DTYPES or zero or count > MOST_TOKENS:
            raise ShardError(f"{name!r} is damaged: its header does not match its checksum; {MAKE_IT_ANEW}")
        end = START + count * width
        blocks = -(-count * width // BLOCK)
        if size != end + 4 * blocks:
            raise ShardError(
                f"{name!r} is damaged: it has {size:,} bytes, not {end + 4 * blocks:,}; {MAKE_IT_ANEW}"
            )
        map_ = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    table = _mapped(map_, DTYPES[4], blocks, end).astype(np.uint32)
    if zlib.crc32(table.tobytes()) != table_check:
        raise ShardError(f"{name!r} is damaged: its table of checksums has changed; {MAKE_IT_ANEW}")
    wants = ((tokenizer_fingerprint, tokenizer, "tokenizer"), (text_fingerprint, text, "text"))
    for wanted, found, what in wants:
        if wanted is not None and wanted != found:
            raise ShardError(f"{name!r} was made with another {what}; {MAKE_IT_ANEW}")
    tokens = _mapped(map_, DTYPES[width], count, START)
    return Shard(Path(path), CheckedTokens(tokens, table, name), vocab_size, tokenizer, text)


def _mapped(map_: mmap.mmap, dtype: np.dtype[np.unsignedinteger[Any]], count: int, start: int) -> Array:
    """Part of a map as an array; NumPy gives none for an empty one at the end."""
    return np.frombuffer(map_, dtype, count, start) if count else np.zeros(0, dtype)
