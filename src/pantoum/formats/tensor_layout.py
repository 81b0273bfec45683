"""The layout of a safetensors file: a header's bytes from arrays, and arrays from bytes that are checked.

    8 bytes      length N of the header, little-endian
    N bytes      JSON: {"__metadata__": {"pantoum": text}, name: {"dtype", "shape", "data_offsets"}, ...},
                 spaces at its end until the data begins at a multiple of 8
    the rest     the arrays' bytes, little-endian, without gaps: widest dtype first, then by name, so that
                 every array lies aligned

Any safetensors tool opens such a file. Written here and not by the library, because bytes must not change
with a library's version, are hashed while they are written, and are never copied (docs/decisions/030).

What is refused: a header over 1 MB (told before it is read), names that are not plain, unknown dtypes,
sizes that do not fit, gaps, overlaps, misaligned arrays, bytes before or after. Every refusal is a
``ValueError``; the format that called turns it into its own error.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pantoum.formats import plain_json

HEADER_LIMIT = 1_000_000
CHUNK = 1 << 20
METADATA_PREFIX = b'{"__metadata__":{"pantoum":'
"""How every header of ours begins; the metadata's text follows as a JSON string."""

NAME = re.compile(r"(?!__metadata__$)[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")
MOST_AXES = 8
MOST_PARTS = 1 << 16
"""Most commas and brackets in a header: a few bytes each in the file, but a Python object each in memory."""
MOST_BYTES = 1 << 48
DTYPES = {
    "F64": "<f8",
    "I64": "<i8",
    "U64": "<u8",
    "F32": "<f4",
    "I32": "<i4",
    "U32": "<u4",
    "F16": "<f2",
    "BF16": "<u2",
    "U16": "<u2",
    "I16": "<i2",
    "U8": "|u1",
    "I8": "|i1",
    "BOOL": "|b1",
}
"""NumPy has no bfloat16: a BF16 array is held as the uint16 of its bits."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """One array's place in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def header_bytes(
    arrays: Mapping[str, tuple[str, Array]], metadata: str, more: Mapping[str, str] | None = None
) -> tuple[bytes, list[str]]:
    """The file's first bytes, length included, and the order in which the arrays follow.

    ``arrays`` maps a name to its dtype's name and the array; ``more``: what other programs look for in the
    metadata, which only ``parse_any`` reads.
    """
    order = sorted(arrays, key=lambda name: (-np.dtype(DTYPES[arrays[name][0]]).itemsize, name))
    places, end = [], 0
    for name in order:
        dtype, array = arrays[name]
        places.append(Tensor(name, dtype, array.shape, end, end + array.nbytes))
        end += array.nbytes
    return header_of(places, metadata, more), order


def header_of(
    tensors: Iterable[Tensor], metadata: str, more: Mapping[str, str] | None = None, size: int = 0
) -> bytes:
    """A file's first bytes, length included, for arrays at these places; ``size``: as many bytes at least."""
    words = [json.dumps(metadata)]
    words += [f"{json.dumps(key)}:{json.dumps(value)}" for key, value in (more or {}).items()]
    parts = [METADATA_PREFIX + ",".join(words).encode("ascii") + b"}"]
    for each in tensors:
        _require_plain(each.name)
        entry = {"dtype": each.dtype, "shape": list(each.shape), "data_offsets": [each.begin, each.end]}
        parts.append(f'"{each.name}":{json.dumps(entry, separators=(",", ":"))}'.encode("ascii"))
    text = b",".join(parts) + b"}"
    text += b" " * max(-len(text) % 8, size - 8 - len(text))
    if _parts(text) > MOST_PARTS:
        raise ValueError(f"its header would have more than {MOST_PARTS:,} parts")
    if len(text) > HEADER_LIMIT:
        raise ValueError(f"its header would have {len(text):,} bytes, more than the {HEADER_LIMIT:,} allowed")
    return len(text).to_bytes(8, "little") + text


def data_chunks(arrays: Mapping[str, tuple[str, Array]], order: list[str]) -> Iterator[memoryview]:
    """The arrays' bytes, a bounded piece at a time, without a copy where the array lies ready."""
    for name in order:
        dtype, array = arrays[name]
        flat = np.ascontiguousarray(array).reshape(-1).astype(DTYPES[dtype], copy=False).view(np.uint8)
        for begin in range(0, flat.size, CHUNK):
            yield flat[begin : begin + CHUNK].data


def header_length(first: bytes, size: int) -> int:
    """The length in a file's first 8 bytes, refused before anything is allocated for it."""
    if len(first) < 8:
        raise ValueError("it is too short")
    length = int.from_bytes(first, "little")
    if length > HEADER_LIMIT:
        raise ValueError(f"it claims a header of {length:,} bytes, more than the {HEADER_LIMIT:,} allowed")
    if 8 + length > size:
        raise ValueError("it is cut short: its header is not complete")
    return length


def parse(text: bytes, data_size: int) -> tuple[str, list[Tensor]]:
    """The metadata's text and every array's place, from a header of ours without its length."""
    header, metadata = _header(text)
    words = metadata.get("pantoum") if isinstance(metadata, dict) and len(metadata) == 1 else None
    if not isinstance(words, str):
        raise ValueError("it was not written by pantoum")
    return words, _tensors(header, data_size)


def parse_any(text: bytes, data_size: int) -> tuple[dict[str, Any], list[Tensor]]:
    """The same from a header of anybody: its metadata, and every array's place."""
    header, metadata = _header(text)
    return metadata if isinstance(metadata, dict) else {}, _tensors(header, data_size)


def view(buffer: npt.NDArray[np.uint8], tensor: Tensor) -> Array:
    """A tensor's array as a read-only view of the file's data."""
    array = buffer[tensor.begin : tensor.end].view(DTYPES[tensor.dtype]).reshape(tensor.shape)
    array.flags.writeable = False
    return array


def require_finite(name: str, dtype: str, array: Array) -> None:
    """``ValueError`` where a float array holds a NaN or an infinity."""
    flat = np.ascontiguousarray(array).reshape(-1)
    step = CHUNK // 8
    for begin in range(0, flat.size, step):
        part = flat[begin : begin + step]
        if dtype == "BF16":
            fine = not bool(((part & 0x7F80) == 0x7F80).any())
        else:
            fine = bool(np.isfinite(part).all())
        if not fine:
            raise ValueError(f"array {name!r} holds values that are not finite")


def _header(text: bytes) -> tuple[dict[str, Any], object]:
    """The entries of a header, and its metadata."""
    if _parts(text) > MOST_PARTS:
        raise ValueError(f"its header has more than {MOST_PARTS:,} parts")
    header = plain_json.decode(text)
    if not isinstance(header, dict):
        raise ValueError("its header is not an object")
    return header, header.pop("__metadata__", None)


def _tensors(header: Mapping[str, object], data_size: int) -> list[Tensor]:
    """The arrays in the order of their places, which fill the file."""
    tensors = [_tensor(name, entry) for name, entry in header.items()]
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    place = 0
    for tensor in tensors:
        if tensor.begin != place:
            raise ValueError(f"array {tensor.name!r} does not begin where the one before it ends")
        place = tensor.end
    if place != data_size:
        problem = "is cut short" if place > data_size else "has bytes after its end"
        raise ValueError(f"it {problem}: its arrays have {place:,} bytes, the file {data_size:,} for them")
    return tensors


def _parts(text: bytes) -> int:
    return sum(text.count(sign) for sign in (b",", b"[", b"{"))


def _require_plain(name: str) -> None:
    if NAME.fullmatch(name) is None:
        raise ValueError(f"array name {name[:80]!r} is not plain: 1 to 200 letters, digits, '_', '-', '.'")


def _whole(value: object) -> bool:
    return type(value) is int and 0 <= value <= MOST_BYTES


def _tensor(name: str, entry: object) -> Tensor:
    """One header entry, checked by itself."""
    _require_plain(name)
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"array {name!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"array {name!r} has a dtype that is not used here")
    if not isinstance(shape, list) or len(shape) > MOST_AXES or not all(map(_whole, shape)):
        raise ValueError(f"array {name!r} has an impossible shape")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_whole, offsets)):
        raise ValueError(f"array {name!r} has impossible offsets")
    begin, end = offsets
    width = np.dtype(DTYPES[dtype]).itemsize
    if math.prod(shape) * width != end - begin or begin % width:
        raise ValueError(f"array {name!r} has a size that does not fit its shape")
    return Tensor(name, dtype, tuple(shape), begin, end)
