"""A model file, taken apart and put together with hashes that match."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from pantoum.formats import model_file, tensor_layout

__all__ = ["Parts", "arrays_of", "parts_of", "safetensors", "together"]


@dataclass
class Parts:
    """A model, apart."""

    body: dict[str, Any]
    tokenizer: dict[str, Any] | None
    arrays: dict[str, tuple[str, list[int], bytes]]
    """Data type, shape and bytes by name."""


def parts_of(data: bytes) -> Parts:
    """A model file's parts."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    body = json.loads(header.pop("__metadata__")["pantoum"])
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = (entry["dtype"], entry["shape"], data[8 + length + begin : 8 + length + end])
    dtype_shape_data = arrays.pop("tokenizer", None)
    tokenizer = None if dtype_shape_data is None else json.loads(dtype_shape_data[2])
    return Parts(body, tokenizer, arrays)


def arrays_of(data: bytes) -> Parts:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    found = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        found[name] = (entry["dtype"], entry["shape"], data[8 + length + begin : 8 + length + end])
    return Parts({}, None, found)


def together(parts: Parts, *, raw_header: bytes = b"", raw_tokenizer: bytes | None = None) -> bytes:
    """A model file of these parts, its SHA-256 made to match."""
    body = {key: value for key, value in parts.body.items() if key != "sha256"}
    text = '{"sha256":"' + "0" * 64 + '",' + json.dumps(body, separators=(",", ":"), sort_keys=True)[1:]
    arrays = dict(parts.arrays)
    tokenizer = json.dumps(parts.tokenizer, separators=(",", ":")).encode()
    spec = tokenizer if raw_tokenizer is None else raw_tokenizer
    arrays["tokenizer"] = ("U8", [len(spec)], spec)
    whole = safetensors(text, arrays, raw_header)
    place = model_file.DIGITS
    return whole[: place.start] + hashlib.sha256(whole).hexdigest().encode() + whole[place.stop :]


def safetensors(text: str, arrays: dict[str, tuple[str, list[int], bytes]], raw_header: bytes = b"") -> bytes:
    """A file in the safetensors layout, unchecked."""
    widths = {name: np.dtype(kind).itemsize for name, kind in tensor_layout.DTYPES.items()}
    order = sorted(arrays, key=lambda name: (-widths.get(arrays[name][0], 1), name))
    header, place = {"__metadata__": {"pantoum": text}}, 0
    for name in order:
        dtype, shape, data = arrays[name]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + len(data)]}
        place += len(data)
    packed = json.dumps(header, separators=(",", ":")).encode()
    if raw_header:
        packed = packed[:-1] + b',"x":' + raw_header + b"}"
    packed += b" " * (-len(packed) % 8)
    return len(packed).to_bytes(8, "little") + packed + b"".join(arrays[name][2] for name in order)
