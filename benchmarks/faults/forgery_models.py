"""Changes of the parts of a model: configuration, card, tokenizer, vocabulary, numbers, arrays."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from forgery_json import LARGEST, change_json, pick
from forgery_parts import Parts

from pantoum.formats import tensor_layout

__all__ = ["CHANGES", "arrays", "values"]


def config(rng: np.random.Generator, parts: Parts) -> str:
    return "config " + change_json(rng, parts.body.get("config", {}))


def card(rng: np.random.Generator, parts: Parts) -> str:
    return "card " + change_json(rng, parts.body.get("card", {}))


def body(rng: np.random.Generator, parts: Parts) -> str:
    return "body " + change_json(rng, parts.body)


def tokenizer(rng: np.random.Generator, parts: Parts) -> str:
    return "tokenizer " + change_json(rng, parts.tokenizer)


def vocabulary(rng: np.random.Generator, parts: Parts) -> str:
    """Another vocabulary, large or odd; the arrays follow it, so that it reaches the network."""
    spec, kind = parts.tokenizer or {}, int(rng.integers(8))
    before = vocabulary_size(spec)
    if kind < 3:
        doubling = [[1, 1], *([257 + at, 257 + at] for at in range(int(rng.integers(1, 22))))]
        top = 256 + len(doubling)
        more = [
            [top, 1 + at % 256] if at < 256 else [top + 1 + at % 99, 1 + at % 256]
            for at in range(int(2 ** rng.integers(15)))
        ]
        parts.tokenizer = {
            "kind": "bpe",
            "documents": spec.get("documents"),
            "split": 1,
            "merges": doubling + more,
        }
    elif kind < 5:
        length, number = int(2 ** rng.integers(12)), int(2 ** rng.integers(14))
        letter = pick(rng, ["a", "é", "\u4e00", "\U0001f600", " ", "\n", "\ud800"])
        pieces = [
            letter * (length % (at + 2) + 1) + str(at)
            for at in range(max(1, min(number, LARGEST // length // 6)))
        ]
        parts.tokenizer = {
            "kind": pick(rng, ["words", "words:whitespace"]),
            "documents": spec.get("documents"),
            "pieces": pieces,
        }
    else:
        begin, number = int(rng.integers(0x11000)), int(2 ** rng.integers(16))
        letters = "".join(
            chr(at) for at in range(begin, begin + number) if not 0xD800 <= at < 0xE000 or kind == 7
        )
        parts.tokenizer = {"kind": "characters", "documents": spec.get("documents"), "characters": letters}
    after = vocabulary_size(parts.tokenizer)
    if rng.integers(4) and before and after < 40_000:
        for name, (dtype, shape, data) in parts.arrays.items():
            if before in shape and np.prod(shape) * np.dtype(tensor_layout.DTYPES[dtype]).itemsize == len(
                data
            ):
                axis = shape.index(before)
                array = np.frombuffer(data, tensor_layout.DTYPES[dtype]).reshape(shape)
                new = np.take(array, np.arange(after) % before, axis)
                parts.arrays[name] = (dtype, list(new.shape), np.ascontiguousarray(new).tobytes())
    return f"vocabulary {kind}: {before} to {after}"


def vocabulary_size(spec: dict[str, Any]) -> int:
    for key, more in (("merges", 257), ("pieces", 2), ("characters", 2)):
        if isinstance(spec.get(key), (list, str)):
            return len(spec[key]) + more
    return 257


def values(rng: np.random.Generator, parts: Parts) -> str:
    """Other numbers in an array, or in all."""
    names = [pick(rng, sorted(parts.arrays))] if rng.integers(3) else sorted(parts.arrays)
    how = int(rng.integers(8))
    for name in names:
        dtype, shape, data = parts.arrays[name]
        if dtype == "F32":
            array = np.frombuffer(data, "<f4").copy()
            fill = [3e38, -3e38, 1e-45, 0.0, None, None, None, np.nan][how]
            if fill is not None:
                array[...] = fill
            elif how == 4:
                array = rng.integers(0, 1 << 32, array.size, np.uint32).view(np.float32).copy()
                array[~np.isfinite(array)] = -1e30
            elif how == 5:
                array *= np.float32(1e30)
            else:
                array[::2] = 3e38
                array[1::2] = -3e38
            new = array.tobytes()
        else:
            new = bytes([[0x80, 0xFF, 0x7F, 0, 1][how % 5]]) * len(data)
        parts.arrays[name] = (dtype, shape, new)
    return f"values {how} in {names[0] if len(names) == 1 else 'all'}"


def arrays(rng: np.random.Generator, parts: Parts) -> str:
    """An array gone, doubled, renamed, of another shape or type."""
    name = pick(rng, sorted(parts.arrays))
    dtype, shape, data = parts.arrays[name]
    how = int(rng.integers(8))
    if how == 0:
        del parts.arrays[name]
    elif how == 1:
        parts.arrays[name] = (dtype, shape[::-1], data)
    elif how == 2:
        parts.arrays[name] = (
            pick(rng, ["F32", "I32", "U32", "F64", "I8", "U8", "BF16", "BOOL"]),
            shape,
            data,
        )
    elif how == 3:
        parts.arrays[name] = (dtype, [0, *shape], b"")
    elif how == 4:
        parts.arrays[name] = (dtype, [2, *shape], data * 2)
    elif how == 5:
        parts.arrays[name + pick(rng, [".scale", "x", ""])] = parts.arrays.pop(name)
    elif how == 6:
        name = pick(
            rng, [f"extras.{part}" for part in ("novelty.bits", "novelty.shape", "adapt.head.weight", "x")]
        )
        numbers = struct.pack("<4I", *map(int, rng.integers(0, 2**32, 4)))
        parts.arrays[name] = (pick(rng, ["U8", "U32", "F32"]), [4], numbers)
    else:
        parts.arrays[name] = (dtype, [len(data) // 4 if dtype == "F32" else len(data)], data)
    return f"array {name}: {how}"


CHANGES: list[Callable[[np.random.Generator, Parts], str]] = [
    config, config, card, body, tokenizer, tokenizer, vocabulary, vocabulary, values, values, arrays,
]  # fmt: skip
