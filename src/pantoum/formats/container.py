"""The one form of a file that pantoum keeps arrays in: a safetensors file with a SHA-256 over all of it.

A model, a checkpoint and a prepared text are each one container (byte for byte: docs/formats.md). Its
metadata are JSON with the SHA-256 first, then what the kind of file says of itself. The SHA-256 covers the
whole file, with its own 64 digits taken as ``0``; they stand at a fixed place, so that no other text in the
header can be mistaken for them. The same content gives the same bytes: no time, path or host is added.

    write      a content that is in memory: header, arrays, digits, in one pass
    Writer     arrays that come in blocks and may be larger than memory; the header is written last
    read       a file into memory of its own, verified; the arrays are views of that one buffer
    OpenFile   a file that stays open: verified once, its arrays are then read by ranges

Hash first, parse after: what is damaged by accident never meets the parser. Nothing is ever unpickled, and no
file that has a name is mapped: one that is cut while it is mapped ends the process (docs/decisions/037).
"""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pantoum.config.plain import Plain
from pantoum.errors import FormatError
from pantoum.formats import bounded, durable, plain_json, tensor_layout
from pantoum.formats.tensor_layout import Array, Tensor

NO_DIGITS = b"0" * 64
DIGITS_AFTER = tensor_layout.METADATA_PREFIX + b'"{\\"sha256\\":\\"'
DIGITS = slice(8 + len(DIGITS_AFTER), 8 + len(DIGITS_AFTER) + 64)
"""Where in the file the SHA-256 stands."""
START = DIGITS.stop + 64
"""Bytes that say which kind of file it is."""
RESERVED = 1024
"""Bytes of a header that is written last."""
DAMAGED = "its SHA-256 does not match: it is truncated, damaged or was changed"
FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Kind:
    """A kind of file: what it calls itself, what it may hold, and how it is refused."""

    name: str
    version: int
    error: type[FormatError]
    advice: str
    """What to do where a file cannot be used."""
    dtypes: Mapping[str, str]
    """The dtypes of its arrays: NumPy's name, and that in the file."""
    first_key: str = "format"
    """The first of the keys of its body, in the order of the alphabet."""

    @property
    def format(self) -> str:
        """What the file says of itself."""
        return f"pantoum {self.name}"

    def require_begins(self, start: bytes) -> None:
        """``ValueError`` if a file that begins so is of another kind."""
        key = f'\\",\\"{self.first_key}\\":' + f'\\"{self.format}\\"' * (self.first_key == "format")
        if not start.startswith(DIGITS_AFTER, 8) or not start.startswith(key.encode(), DIGITS.stop):
            raise ValueError(f"it is not a {self.name} file of pantoum")

    @contextmanager
    def told(self, path: Path | str) -> Iterator[None]:
        """What is wrong with a file, as a line that names it."""
        try:
            yield
        except (ValueError, MemoryError) as problem:
            words = str(problem) or "it does not fit into memory"
            raise self.error(f"cannot use the {self.name} {str(path)!r}: {words}; {self.advice}") from None

    @contextmanager
    def refused(self, path: Path | str) -> Iterator[None]:
        """Why a content cannot be written, as a line that names the file."""
        try:
            yield
        except (ValueError, TypeError) as problem:
            words = f"cannot write the {self.name} {str(path)!r}: {problem}; nothing was written"
            raise self.error(words) from None


@dataclass(frozen=True, eq=False)
class Content:
    """What a container holds."""

    body: dict[str, Any]
    """What the metadata say, beside the SHA-256."""
    arrays: dict[str, Array]
    """Read-only views of one buffer."""
    sha256: str


def header(kind: Kind, body: Mapping[str, Plain], arrays: Mapping[str, Array]) -> tuple[bytes, list[str]]:
    """The first bytes of a file, its digits still zeros, and the order in which the arrays follow.
    ``ValueError`` or ``TypeError``: it cannot be written."""
    return tensor_layout.header_bytes(_typed(kind, arrays), _metadata(kind, body))


def write(path: Path | str, kind: Kind, body: Mapping[str, Plain], arrays: Mapping[str, Array]) -> str:
    """Write a file whole or not at all, and return its SHA-256."""
    with kind.refused(path):
        typed = _typed(kind, arrays)
        first, order = header(kind, body, arrays)
        for name, (dtype, array) in typed.items():
            _require_finite(name, dtype, array)
    with durable.new_file(path) as file:
        hasher = hashlib.sha256(first)
        file.write(first)
        for chunk in tensor_layout.data_chunks(typed, order):
            piece = bytes(chunk)  # another thread may change the array
            hasher.update(piece)
            file.write(piece)
        file.write(hasher.hexdigest().encode(), DIGITS.start)
    return hasher.hexdigest()


class Writer:
    """Writes arrays that come in blocks into a new file, one after the other."""

    def __init__(self, file: durable.NewFile, kind: Kind) -> None:
        self._file, self._kind = file, kind
        self._tensors: list[Tensor] = []
        self._end = 0
        file.write(bytes(RESERVED))

    def add(self, name: str, blocks: Iterable[npt.NDArray[np.generic]], dtype: np.dtype[Any]) -> int:
        """Write an array of one axis; how many numbers came. Wider arrays come before narrower ones."""
        begin, count = self._end, 0
        for block in blocks:
            data = np.ascontiguousarray(block, dtype)
            self._file.write(data.view(np.uint8).data)
            count += len(data)
        self._end += count * dtype.itemsize
        self._tensors.append(Tensor(name, self._kind.dtypes[dtype.name], (count,), begin, self._end))
        return count

    def finish(self, body: Mapping[str, Plain]) -> None:
        """Write the header."""
        first = tensor_layout.header_of(self._tensors, _metadata(self._kind, body), size=RESERVED)
        if len(first) != RESERVED:
            raise AssertionError(f"a header of {len(first)} bytes")
        self._file.write(first, 0)
        digest = _digest(FileIO(self._file.descriptor, closefd=False), RESERVED + self._end)
        self._file.write(digest, DIGITS.start)


def read(path: Path | str, kind: Kind) -> Content:
    """Read and verify a file."""
    with bounded.opened(path, kind.error) as (file, size), kind.told(path):
        data = np.empty(size, np.uint8)
        start = bounded.fill(file, data[:START].data)
        kind.require_begins(data[:start].tobytes())
        if bounded.fill(file, data[start:].data) != size - start:
            raise ValueError("it was truncated while it was read")
    return parsed(data, path, kind)


def parsed(data: bytes | npt.NDArray[np.uint8], path: Path | str, kind: Kind) -> Content:
    """The content of the bytes of a file, verified; ``path`` names it in errors."""
    whole = np.frombuffer(data, np.uint8)
    with kind.told(path):
        length = 8 + tensor_layout.header_length(whole[:8].tobytes(), whole.size)
        kind.require_begins(whole[:START].tobytes())
        hasher = hashlib.sha256(whole[: DIGITS.start].data)
        hasher.update(NO_DIGITS)
        hasher.update(whole[DIGITS.stop :].data)
        digest = hasher.hexdigest()
        if digest.encode() != whole[DIGITS].tobytes():
            raise ValueError(DAMAGED)
        rest = whole[length:]
        body, tensors = _contents(kind, whole[:length].tobytes(), rest.size)
        arrays = {tensor.name: tensor_layout.view(rest, tensor) for tensor in tensors}
        for tensor in tensors:
            if tensor.dtype not in kind.dtypes.values():
                raise ValueError(f"array {tensor.name!r} is {tensor.dtype}, which no {kind.name} has")
            _require_finite(tensor.name, tensor.dtype, arrays[tensor.name])
    return Content(body, arrays, digest)


def head(path: Path | str, kind: Kind) -> dict[str, Any]:
    """What the metadata of a file say, not verified; they stand in its first 2 KB."""
    with bounded.opened(path, kind.error) as (file, _), kind.told(path):
        start = file.read(2048) or b""
        kind.require_begins(start)
        words, _ = json.JSONDecoder().raw_decode(
            start[8 + len(tensor_layout.METADATA_PREFIX) :].decode("latin-1")
        )
        return _body(kind, words)


class OpenFile:
    """A file that stays open, so that what is read later is the file that was verified, whatever its name
    means then. A file that is cut meanwhile is an error of the reading."""

    def __init__(self, path: Path, kind: Kind, *, verified: bool = False) -> None:
        """``verified``: this process has written it a moment ago."""
        self.path, self._kind = path, kind
        with bounded.opened(path, kind.error) as (file, size), kind.told(path):
            first = _first(kind, file, size)
            if not verified and _digest(file, size) != first[DIGITS]:
                raise ValueError(DAMAGED)
            self.body, tensors = _contents(kind, first, size - len(first))
            self._tensors = {tensor.name: tensor for tensor in tensors}
            self._begin = len(first)
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def size(self, name: str) -> int:
        """How many numbers an array has."""
        return int(np.prod(self._tensors[name].shape))

    def dtype(self, name: str) -> np.dtype[Any]:
        """The type of an array's numbers."""
        return np.dtype(tensor_layout.DTYPES[self._tensors[name].dtype])

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """The numbers of an array from ``start`` to before ``stop``, a copy."""
        tensor, dtype = self._tensors[name], self.dtype(name)
        first, end = slice(start, stop).indices(self.size(name))[:2]
        with bounded.reported(self.path, self._kind.error), self._kind.told(self.path):
            array = np.empty(max(0, end - first), dtype)
            file = FileIO(self._descriptor, closefd=False)
            file.seek(self._begin + tensor.begin + first * dtype.itemsize)
            if bounded.fill(file, array.view(np.uint8).data) != array.nbytes:
                raise ValueError("it was truncated while it was in use")
        return array


def begins(path: Path | str, kind: Kind) -> bool:
    """Whether a file begins like one of this kind; nothing else of it is looked at."""
    try:
        with bounded.opened(path, kind.error) as (file, _), kind.told(path):
            kind.require_begins(file.read(START) or b"")
    except FormatError:
        return False
    return True


def _typed(kind: Kind, arrays: Mapping[str, Array]) -> dict[str, tuple[str, Array]]:
    """Each array with its dtype in the file."""
    for name, array in arrays.items():
        if array.dtype.name not in kind.dtypes:
            raise ValueError(f"array {name!r} is {array.dtype.name}, not one of {', '.join(kind.dtypes)}")
    return {name: (kind.dtypes[array.dtype.name], array) for name, array in arrays.items()}


def _metadata(kind: Kind, body: Mapping[str, Plain]) -> str:
    text = plain_json.encode({"format": kind.format, "version": kind.version, **body}).decode()
    return '{"sha256":"' + NO_DIGITS.decode() + '",' + text[1:]


def _first(kind: Kind, file: FileIO, size: int) -> bytes:
    """The header with its length."""
    first = file.read(8) or b""
    length = tensor_layout.header_length(first, size)
    first += file.read(length) or b""
    if len(first) != 8 + length:
        raise ValueError("it was truncated while it was read")
    kind.require_begins(first)
    return first


def _contents(kind: Kind, first: bytes, data_size: int) -> tuple[dict[str, Any], list[Tensor]]:
    """What the metadata say, and the places of the arrays."""
    metadata, tensors = tensor_layout.parse(first[8:], data_size)
    return _body(kind, metadata), tensors


def _body(kind: Kind, metadata: str) -> dict[str, Any]:
    body = plain_json.decode(metadata.encode())
    if not isinstance(body, dict) or body.get("format") != kind.format:
        raise ValueError(f"it is not a {kind.name} file of pantoum")
    if body.get("version") != kind.version:
        raise ValueError(f"this pantoum reads version {kind.version}, not {str(body.get('version'))[:20]}")
    return body


def _digest(file: FileIO, size: int) -> bytes:
    """The digits that a file must have."""
    hasher = hashlib.sha256()
    piece = np.empty(min(bounded.READ_SIZE, size), np.uint8)
    file.seek(0)
    for begin in range(0, size, bounded.READ_SIZE):
        part = piece[: size - begin]
        if bounded.fill(file, part.data) != part.size:
            raise ValueError("it was truncated while it was read")
        if begin == 0:
            part[DIGITS] = ord("0")
        hasher.update(part.data)
    return hasher.hexdigest().encode()


def _require_finite(name: str, dtype: str, array: Array) -> None:
    if dtype in FLOATS:
        tensor_layout.require_finite(name, dtype, array)
