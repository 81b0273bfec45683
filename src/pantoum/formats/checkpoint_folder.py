"""One checkpoint's folder: its arrays, its state, and a manifest, written last, that vouches for both.

    arrays.safetensors   every array of the run, in the safetensors layout
    state.json           everything else, canonical JSON
    manifest.json        the step, and the size and SHA-256 of the other two, canonical JSON

``Content`` checks what is to be written before the disk is touched; ``write`` hashes while it writes.
``read`` believes nothing that the manifest does not vouch for. Names, order and number of checkpoints
are the business of ``checkpoint``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pantoum.config.plain import Plain
from pantoum.errors import CheckpointError
from pantoum.formats import bounded, durable, plain_json, tensor_layout
from pantoum.formats.tensor_layout import Array

__all__ = ["Content", "read", "verify", "write"]

ARRAYS, STATE, MANIFEST = "arrays.safetensors", "state.json", "manifest.json"
FORMAT = "pantoum checkpoint"
VERSION = 1
STATE_LIMIT = 4_000_000
MANIFEST_LIMIT = 10_000
METADATA = plain_json.encode({"format": FORMAT, "version": VERSION}).decode()
NOT_OURS = "it is not a manifest"
FLOATS = ("F32", "F64")
DTYPE_NAMES = {
    "float32": "F32",
    "float64": "F64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "bool": "BOOL",
}


@dataclass(frozen=True, eq=False)
class Content:
    """What a checkpoint will hold, checked: ``ValueError`` or ``TypeError`` if it cannot be kept."""

    arrays: dict[str, tuple[str, Array]]
    order: list[str]
    header: bytes
    state: bytes

    @staticmethod
    def of(arrays: Mapping[str, Array], state: Mapping[str, Plain]) -> Content:
        """Check arrays and state."""
        named = {}
        for name, array in arrays.items():
            dtype = DTYPE_NAMES.get(array.dtype.name)
            if dtype is None:
                raise ValueError(f"array {name!r} is {array.dtype.name}, not one of {', '.join(DTYPE_NAMES)}")
            if dtype in FLOATS:
                tensor_layout.require_finite(name, dtype, array)
            named[name] = (dtype, array)
        header, order = tensor_layout.header_bytes(named, METADATA)
        state_bytes = plain_json.encode(dict(state))
        if len(state_bytes) > STATE_LIMIT:
            raise ValueError(f"its state has {len(state_bytes):,} bytes, at most {STATE_LIMIT:,} are allowed")
        return Content(named, order, header, state_bytes)

    @property
    def size(self) -> int:
        """Bytes on disk, but for the manifest."""
        return len(self.header) + len(self.state) + sum(array.nbytes for _, array in self.arrays.values())


def write(folder: Path, step: int, content: Content) -> None:
    """Write and fsync the three files into a new folder, and fsync the folder."""

    def arrays() -> Iterator[bytes]:
        yield content.header
        for chunk in tensor_layout.data_chunks(content.arrays, content.order):
            # A copy of 1 MiB: what is hashed is what is written, even if the array changes in between.
            yield bytes(chunk)

    files = {}
    for name, chunks in ((ARRAYS, arrays()), (STATE, iter([content.state]))):
        files[name] = _written(folder / name, chunks)
    manifest = {"files": files, "format": FORMAT, "step": step, "version": VERSION}
    durable.write_new(folder / MANIFEST, plain_json.encode(manifest))
    durable.fsync_folder(folder)


def read(folder: Path, step: int) -> tuple[dict[str, Array], dict[str, Plain]]:
    """A checkpoint's arrays, read-only views of one buffer, and its state.

    ``CheckpointError`` names the file that is damaged.
    """
    files = _manifest(folder, step)
    data = _vouched(folder / ARRAYS, files[ARRAYS])
    state_bytes = _vouched(folder / STATE, files[STATE])
    with _told(folder / ARRAYS):
        length = tensor_layout.header_length(data[:8].tobytes(), data.size)
        metadata, tensors = tensor_layout.parse(data[8 : 8 + length].tobytes(), data.size - 8 - length)
        if metadata != METADATA:
            raise ValueError("it is not a checkpoint of pantoum")
        arrays = {tensor.name: tensor_layout.view(data[8 + length :], tensor) for tensor in tensors}
    with _told(folder / STATE):
        state = plain_json.decode(state_bytes.tobytes())
        if not isinstance(state, dict):
            raise ValueError("it is not an object")
    return arrays, state


def verify(folder: Path, step: int) -> bool:
    """Whether both files are what the manifest says; they are hashed, not kept."""
    try:
        for name, entry in _manifest(folder, step).items():
            _vouched(folder / name, entry, keep=False)
    except CheckpointError:
        return False
    return True


def _written(path: Path, chunks: Iterable[bytes]) -> dict[str, Plain]:
    """Write a new file; its entry in the manifest."""
    hasher, size = hashlib.sha256(), 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            hasher.update(chunk)
            size += len(chunk)
            yield chunk

    durable.write_new(path, counted())
    return {"sha256": hasher.hexdigest(), "size": size}


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What is wrong with a file, as a line that names it."""
    try:
        yield
    except (ValueError, MemoryError) as problem:
        words = str(problem) or "it does not fit into memory"
        raise CheckpointError(f"cannot use {str(path)!r}: {words}; go on from another checkpoint") from None


def _manifest(folder: Path, step: int) -> dict[str, dict[str, Plain]]:
    """The manifest's files, once every byte of it is accounted for."""
    path = folder / MANIFEST
    data = bounded.read_small(path, MANIFEST_LIMIT, CheckpointError)
    with _told(path):
        manifest = plain_json.decode(data)
        files = manifest.get("files") if isinstance(manifest, dict) else None
        if not isinstance(files, dict) or set(files) != {ARRAYS, STATE}:
            raise ValueError(NOT_OURS)
        for entry in files.values():
            if (
                not isinstance(entry, dict)
                or set(entry) != {"sha256", "size"}
                or type(entry["size"]) is not int
            ):
                raise ValueError(NOT_OURS)
        # Only what ``write`` would have written passes, so that a changed byte anywhere is noticed.
        if plain_json.encode({"files": files, "format": FORMAT, "step": step, "version": VERSION}) != data:
            raise ValueError(f"{NOT_OURS} for step {step}, version {VERSION}")
    return files


def _vouched(path: Path, entry: dict[str, Plain], *, keep: bool = True) -> npt.NDArray[np.uint8]:
    """A file's bytes, once they are those that the manifest names; without ``keep`` they are only hashed."""
    with bounded.opened(path, CheckpointError) as (file, size), _told(path):
        if size != entry["size"]:
            raise ValueError(f"it has {size:,} bytes, not those that its manifest says")
        data = np.empty(size if keep else min(size, bounded.READ_SIZE), np.uint8)
        hasher = hashlib.sha256()
        for begin in range(0, size, max(1, data.size)):
            bounded.fill_hashed(file, data[: size - begin], hasher)
        if hasher.hexdigest() != entry["sha256"]:
            raise ValueError("its SHA-256 is not the one in its manifest: it is damaged or was changed")
    return data
