"""The model file: one self-contained safetensors file, all that is needed to use a model.

What is in it (byte for byte: docs/formats.md): the header, whose one metadata key ``pantoum`` holds JSON
with the SHA-256, the format's version, the model's configuration and the training card; the parameters
under their own names; ``extras.*``, arrays for later use (running means for adapting, a filter);
``tokenizer``, the tokenizer's spec as JSON in a uint8 array.

The SHA-256 covers the whole file, with its own 64 digits taken as ``0``. They stand at a fixed place, so
that no other text in the header can be mistaken for them. The same ModelFile gives the same bytes: no time,
path or host is added.

``read`` verifies the file before it is used, in one pass, into memory of its own; the arrays are read-only
views of that one buffer (about the file's size in all). Nothing is ever unpickled. Whether names and shapes
make up a network is checked by whoever builds the network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.config.plain import Plain
from pantoum.errors import ModelFileError
from pantoum.formats import bounded, durable, plain_json, tensor_layout
from pantoum.formats.tensor_layout import Array

__all__ = ["COUNTS", "SCALE", "ModelFile", "is_model_file", "parsed", "read", "require_writable", "write"]

FORMAT = "pantoum model"
VERSION = 1
TOKENIZER = "tokenizer"
EXTRAS = "extras."
SCALE = "adapt."
"""Among the extras, before a parameter's name: the usual size of each row of its gradient."""
COUNTS = "counts."
"""Among the extras, before the names of the arrays of counted n-grams."""
TOKENIZER_LIMIT = 64 << 20
"""300,000 words of a script that JSON escapes have some 25 MB."""
CARD_GROWS = 100_000
"""Bytes that a card gains while a run goes on: curve, figures, peaks."""
NO_DIGITS = b"0" * 64
DIGITS_AFTER = tensor_layout.METADATA_PREFIX + b'"{\\"sha256\\":\\"'
DIGITS = slice(8 + len(DIGITS_AFTER), 8 + len(DIGITS_AFTER) + 64)
"""Where in the file the SHA-256 stands."""

DTYPE_NAMES = {
    "float32": "F32",
    "float16": "F16",
    "uint16": "BF16",
    "int8": "I8",
    "uint8": "U8",
    "uint32": "U32",
}
"""The dtypes of a model's arrays; uint16 are the bits of bfloat16."""
FLOATS = ("F32", "F16", "BF16")

USE_ANOTHER = "use another copy of it, or train again"


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What a model file holds."""

    config: dict[str, Plain]
    """The network's shape: ``ModelConfig.spec()`` and the vocabulary's size."""
    parameters: dict[str, Array]
    """Weights by name: float32, float16, or bfloat16 bits (uint16), int8, uint8, uint32."""
    tokenizer: dict[str, Plain]
    """``Tokenizer.spec()``."""
    card: dict[str, Any]
    """How it was trained: fingerprints of the texts, loss with its protocol, settings, curve."""
    extras: dict[str, Array] = field(default_factory=dict)
    """Arrays beside the weights, by name."""
    sha256: str = ""
    """The digest of the file that it was read from; ``write`` ignores it."""
    path: Path | None = field(default=None, compare=False)
    """The file that it was read from, if it was one."""


def write(path: Path | str, model: ModelFile) -> str:
    """Write a model file whole or not at all, and return its SHA-256."""
    try:
        arrays = _named_arrays(model)
        for name, (dtype, array) in arrays.items():
            if dtype in FLOATS:
                tensor_layout.require_finite(name, dtype, array)
        header, order = _header(model, arrays)
    except (ValueError, TypeError) as problem:
        words = f"cannot write the model {str(path)!r}: {problem}; nothing was written"
        raise ModelFileError(words) from None
    hasher = hashlib.sha256(header)
    for chunk in tensor_layout.data_chunks(arrays, order):
        hasher.update(chunk)
    digest = hasher.hexdigest()
    durable.write_file(path, _file_chunks(path, header, arrays, order, digest))
    return digest


def require_writable(model: ModelFile) -> None:
    """``ModelFileError`` where ``write`` would refuse such a model once its card has grown by ``CARD_GROWS``.

    A run asks this before it trains. Only names, shapes and sizes are looked at, no array's values.
    """
    try:
        header, _ = _header(model, _named_arrays(model))
        if len(header) + CARD_GROWS > tensor_layout.HEADER_LIMIT:
            raise ValueError(
                f"its header would have {len(header) + CARD_GROWS:,} bytes, at most "
                f"{tensor_layout.HEADER_LIMIT:,} are allowed"
            )
    except (ValueError, TypeError) as problem:
        raise ModelFileError(
            f"a model of this shape and text cannot be written: {problem}; give fewer layers, fewer words or "
            "shorter names of texts"
        ) from None


def _header(model: ModelFile, arrays: Mapping[str, tuple[str, Array]]) -> tuple[bytes, list[str]]:
    """The header's bytes, the digest's digits still zeros, and the order of the arrays after it."""
    body = {"format": FORMAT, "version": VERSION, "config": model.config, "card": model.card}
    text = '{"sha256":"' + NO_DIGITS.decode() + '",' + plain_json.encode(body).decode()[1:]
    return tensor_layout.header_bytes(arrays, text)


def read(path: Path | str) -> ModelFile:
    """Read and verify a model file."""
    with bounded.opened(path, ModelFileError) as (file, size):
        try:
            return replace(_read(file, size), path=Path(path))
        except (ValueError, MemoryError) as problem:
            raise _unusable(path, problem) from None


def parsed(data: bytes, path: Path | str) -> ModelFile:
    """The content of the bytes of a model file, verified; ``path`` names it in errors."""
    try:
        whole = np.frombuffer(data, np.uint8)
        length = tensor_layout.header_length(data[:8], whole.size)
        head, rest = bytearray(whole[: 8 + length]), whole[8 + length :]
        digits, hasher = _begun(head)
        hasher.update(rest.data)
        return _verified(head, rest, digits, hasher)
    except (ValueError, MemoryError) as problem:
        raise _unusable(path, problem) from None


def is_model_file(path: Path | str) -> bool:
    """Whether a file begins like a model file of ours; nothing else of it is looked at."""
    try:
        with bounded.opened(path, ModelFileError) as (file, _):
            start = bytearray(DIGITS.start)
            return bounded.fill(file, memoryview(start)) == len(start) and start[8:] == DIGITS_AFTER
    except ModelFileError:
        return False


def _named_arrays(model: ModelFile) -> dict[str, tuple[str, Array]]:
    """Every array under its name in the file, with its dtype there."""
    named: dict[str, Array] = {}
    for name, array in model.parameters.items():
        if name == TOKENIZER or name.startswith(EXTRAS):
            raise ValueError(f"the parameter name {name!r} is taken by the format")
        named[name] = array
    named.update((EXTRAS + name, array) for name, array in model.extras.items())
    spec = plain_json.encode(model.tokenizer)
    if len(spec) > TOKENIZER_LIMIT:
        raise ValueError(f"its tokenizer has {len(spec):,} bytes, at most {TOKENIZER_LIMIT:,} are allowed")
    named[TOKENIZER] = np.frombuffer(spec, np.uint8)
    for name, array in named.items():
        if array.dtype.name not in DTYPE_NAMES:
            raise ValueError(f"array {name!r} is {array.dtype.name}, not one of {', '.join(DTYPE_NAMES)}")
    return {name: (DTYPE_NAMES[array.dtype.name], array) for name, array in named.items()}


def _file_chunks(
    path: Path | str, header: bytes, arrays: Mapping[str, tuple[str, Array]], order: list[str], digest: str
) -> Iterator[bytes | memoryview]:
    """The file's bytes. They are hashed once more: arrays that another thread changes between hash and write
    would make a file that can never be read."""
    yield header[: DIGITS.start] + digest.encode() + header[DIGITS.stop :]
    hasher = hashlib.sha256(header)
    for chunk in tensor_layout.data_chunks(arrays, order):
        hasher.update(chunk)
        yield chunk
    if hasher.hexdigest() != digest:
        raise ModelFileError(
            f"cannot write the model {str(path)!r}: its arrays changed while being written; give copies"
        )


def _unusable(path: Path | str, problem: Exception) -> ModelFileError:
    words = str(problem) or "it does not fit into memory"
    return ModelFileError(f"cannot use the model {str(path)!r}: {words}; {USE_ANOTHER}")


def _read(file: FileIO, size: int) -> ModelFile:
    """The file's content; ``ValueError`` says what is wrong with it."""
    first = bytearray(8)
    count = bounded.fill(file, memoryview(first))
    length = tensor_layout.header_length(bytes(first[:count]), size)
    head = bytearray(8 + length)
    head[:8] = first
    if bounded.fill(file, memoryview(head)[8:]) != length:
        raise ValueError("it was cut while being read")
    digits, hasher = _begun(head)
    data = np.empty(size - len(head), np.uint8)
    bounded.fill_hashed(file, data, hasher)
    return _verified(head, data, digits, hasher)


def _begun(head: bytearray) -> tuple[bytes, hashlib._Hash]:
    """The digits in a file's beginning, which are zeros afterwards, and the hash begun with it."""
    if not head.startswith(DIGITS_AFTER, 8):
        raise ValueError("it is not a model file of pantoum")
    digits = bytes(head[DIGITS])
    head[DIGITS] = NO_DIGITS
    return digits, hashlib.sha256(head)


def _verified(head: bytearray, data: Array, digits: bytes, hasher: hashlib._Hash) -> ModelFile:
    """Hash first, parse after: what is damaged by accident never meets the parser."""
    if hasher.hexdigest().encode() != digits:
        raise ValueError("its SHA-256 does not match: it is cut, damaged or was changed")
    metadata, tensors = tensor_layout.parse(bytes(memoryview(head)[8:]), data.size)
    arrays = {tensor.name: tensor_layout.view(data, tensor) for tensor in tensors}
    return _model(metadata, arrays, {tensor.name: tensor.dtype for tensor in tensors}, digits.decode())


def _model(metadata: str, arrays: dict[str, Array], dtypes: dict[str, str], digest: str) -> ModelFile:
    body = plain_json.decode(metadata.encode())
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise ValueError("it is not a model file of pantoum")
    if body.get("version") != VERSION:
        raise ValueError(f"its version is {str(body.get('version'))[:20]}, this pantoum reads {VERSION}")
    for key in ("config", "card"):
        if not isinstance(body.get(key), dict):
            raise ValueError(f"its {key} is missing")
    for name, dtype in dtypes.items():
        if dtype not in DTYPE_NAMES.values():
            raise ValueError(f"array {name!r} is {dtype}, which no model has")
        if dtype in FLOATS:
            tensor_layout.require_finite(name, dtype, arrays[name])
    spec = arrays.pop(TOKENIZER, None)
    if spec is None or dtypes[TOKENIZER] != "U8" or spec.ndim != 1 or spec.size > TOKENIZER_LIMIT:
        raise ValueError("its tokenizer is missing")
    tokenizer = plain_json.decode(spec.tobytes())
    if not isinstance(tokenizer, dict):
        raise ValueError("its tokenizer is missing")
    extras = {name[len(EXTRAS) :]: arrays.pop(name) for name in list(arrays) if name.startswith(EXTRAS)}
    return ModelFile(body["config"], arrays, tokenizer, body["card"], extras, digest)
