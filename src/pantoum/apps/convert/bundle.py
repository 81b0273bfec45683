"""The checkpoint of TensorFlow, its bundle format: ``NAME.index`` and ``NAME.data-00000-of-00001``.

The index is a sorted table of blocks (that of LevelDB): names of tensors, and for each a small protobuf with
its type, its shape and where in which data file it lies. Nothing in it is code. Sizes are checked, and so is
that every tensor lies within its file; the CRC-32C of blocks and tensors is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from pantoum.errors import ModelFileError
from pantoum.seams import Array, bounded

__all__ = ["is_index", "read"]

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER = 48
MOST_INDEX, MOST_DATA = 64 << 20, 2**40
TRAILER = 5
"""Bytes after a block: how it is compressed, and its CRC."""
DTYPES = {1: "<f4", 2: "<f8", 19: "<f2"}


@dataclass(frozen=True)
class BundleEntry:
    """Where a tensor lies."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


def is_index(path: Path) -> bool:
    """Whether a file ends as an index does."""
    try:
        with bounded.opened(path, ModelFileError) as (file, size):
            file.seek(max(0, size - len(MAGIC)))
            return file.read(len(MAGIC)) == MAGIC
    except ModelFileError:
        return False


def read(index: Path) -> dict[str, Array]:
    """The float tensors of a checkpoint by name."""
    data = bounded.read_small(index, MOST_INDEX, ModelFileError)
    try:
        shards, entries = _entries(data)
    except (ValueError, IndexError) as problem:
        raise ModelFileError(
            f"cannot import {str(index)!r}: {problem or 'it is damaged'}; save it again"
        ) from None
    found, held = dict[str, Array](), dict[int, memoryview]()
    for name, entry in entries.items():
        kind = DTYPES.get(entry.dtype)
        if kind is None:
            continue
        if entry.shard not in held:
            file = index.with_suffix(f".data-{entry.shard:05d}-of-{shards:05d}")
            held[entry.shard] = memoryview(bounded.read_small(file, MOST_DATA, ModelFileError))
        part = held[entry.shard][entry.offset : entry.offset + entry.size]
        if len(part) != entry.size or prod(entry.shape) * np.dtype(kind).itemsize != entry.size:
            raise ModelFileError(
                f"cannot import {str(index)!r}: tensor {name} is cut or has another size; save it again"
            )
        found[name] = np.frombuffer(part, kind).reshape(entry.shape)
    return found


def _entries(data: bytes) -> tuple[int, dict[str, BundleEntry]]:
    """(the number of data files, where each tensor lies)."""
    if len(data) < FOOTER or not data.endswith(MAGIC):
        raise ValueError("it is no index of a checkpoint")
    place, footer = 0, data[-FOOTER:]
    for _ in range(2):  # past the handle of the block of metadata
        _, place = _number(footer, place)
    shards, found = 1, dict[str, BundleEntry]()
    for _, handle in _block(data, *_handle(footer, place)):
        for key, value in _block(data, *_handle(handle, 0)):
            if key:
                found[key.decode("utf-8", "replace")] = _entry(value)
            else:
                header = dict(_fields(value))
                shards = int(header.get(1, 1))
                if header.get(2, 0):
                    raise ValueError("it is of a big-endian machine")
    return shards, found


def _handle(data: bytes, place: int) -> tuple[int, int]:
    """Where a block lies, and its size."""
    start, place = _number(data, place)
    size, _ = _number(data, place)
    return start, size


def _block(data: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block."""
    block = data[start : start + size]
    if len(block) != size or size < 4 or start + size + TRAILER > len(data):
        raise ValueError("a block of it is cut")
    if data[start + size]:
        raise ValueError("it is compressed, which TensorFlow itself does not do")
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    place, key = 0, b""
    while place < end:
        shared, place = _number(block, place)
        added, place = _number(block, place)
        length, place = _number(block, place)
        key = key[:shared] + block[place : place + added]
        place += added
        yield key, block[place : place + length]
        place += length


def _entry(data: bytes) -> BundleEntry:
    """A ``BundleEntryProto``."""
    fields: dict[int, int | bytes] = {}
    for number, value in _fields(data):
        if number == 7:
            raise ValueError("it has a variable in slices, which is not supported")
        fields[number] = value
    shape = []
    held = fields.get(2, b"")
    for number, value in _fields(held if isinstance(held, bytes) else b""):
        if number == 2 and isinstance(value, bytes):
            shape.append(int(dict(_fields(value)).get(1, 0)))
    numbers = [int(fields.get(number, 0)) for number in (1, 3, 4, 5)]
    return BundleEntry(numbers[0], tuple(shape), *numbers[1:])


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf: a number or bytes each."""
    place = 0
    while place < len(data):
        tag, place = _number(data, place)
        kind = tag & 7
        if kind == 0:
            value, place = _number(data, place)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, place = _number(data, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("an entry of it is damaged")
        if place + size > len(data):
            raise ValueError("an entry of it is cut")
        part = data[place : place + size]
        yield tag >> 3, part if kind == 2 else int.from_bytes(part, "little")
        place += size


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits per byte, and the place after it."""
    found = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, place
    raise ValueError("a number of it is too long")
