"""Changes of the parts of a model: configuration, card, tokenizer, vocabulary, numbers, arrays; and of JSON,
in which something else takes the place of a value."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from forgery_parts import Parts

from pantoum.formats import tensor_layout

__all__ = ["CHANGES", "change_json", "expansion", "pick"]

LARGEST = 3_000_000
"""Bytes to which an expansion blows a part up."""
MOST_JSON = 64 << 20
"""Bytes of JSON that changes of changes may come to."""
NUMBERS = [0, 1, -1, 2, 3, 7, 255, 256, 257, 65_535, 65_536, 10**30, 0.5, -0.5, 1e-320, 3e38, 1e308, -1e308]
POWERS = [sign * 2**bits + more for bits in (31, 32, 53, 63, 64) for sign in (1, -1) for more in (0, -1)]
WORDS = ["", "x", "0", "-1", "nan", "é\u4e00", "\0", "\n\n", "\ud800", "x" * 5000, "../../x"]
NAMES = ["lstm", "gru", "lines", "none", "2,3,4", "auto"]
NESTED: list[Any] = [[], {}, [[]], [0], [None], [1, 2], [[1, 2]], {"": ""}, {"a": 1}, ["x"], [3e38] * 3]
STRANGE: list[Any] = [None, True, False, *NUMBERS, *POWERS, *WORDS, *NAMES, *NESTED]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a value, breadth first, few of a long list."""
    found: list[tuple[Any, Any]] = []
    queue = [value] if isinstance(value, (dict, list)) else []
    while queue and len(found) < 400:
        here = queue.pop(0)
        keys: list[Any] = list(here) if isinstance(here, dict) else list(range(min(len(here), 20)))
        for key in keys:
            found.append((here, key))
            if isinstance(here[key], (dict, list)):
                queue.append(here[key])
    return found


def pick(rng: np.random.Generator, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def change_json(rng: np.random.Generator, value: Any) -> str:
    """Change one place of a value, unless that would make it larger than ``MOST_JSON``."""
    found = places(value)
    if not found:
        return "nothing"
    container, key = pick(rng, found)
    before = copy.copy(container)
    words = change_place(rng, found, container, key)
    if spelled(value, {}) > MOST_JSON:
        container.clear()
        (container.update if isinstance(container, dict) else container.extend)(before)
        return f"{key}: too large"
    return words


def change_place(rng: np.random.Generator, found: list[tuple[Any, Any]], container: Any, key: Any) -> str:
    """Change what a container has under a key; ``found``: what may take its place."""
    old = container[key]
    kind = int(rng.integers(6))
    if kind == 0 and isinstance(container, dict):
        del container[key]
        return f"{key} gone"
    if kind == 1 and isinstance(old, (int, float)) and not isinstance(old, bool):
        container[key] = pick(rng, [old + 1, old - 1, old * 2, -old, old * 1000, old + 0.5, old * 16, 0.0])
    elif kind == 2 and isinstance(old, (list, str)) and old:
        times = max(1, min(int(2 ** rng.integers(1, 20)), LARGEST // max(1, len(json.dumps(old)))))
        container[key] = old * times
        return f"{key} repeated {times} times"
    elif kind == 3:
        other, other_key = pick(rng, found)
        container[key] = (
            copy.deepcopy(other[other_key]) if not contains(other[other_key], container) else None
        )
    elif kind == 4 and isinstance(container, dict):
        new = pick(rng, ["x", "precision", "ngrams", "ngram_rows", "int8", "adapted", "kind", "peaks"])
        container[new] = strange(rng)
    else:
        container[key] = strange(rng)
    return f"{key}: {str(container.get(key) if isinstance(container, dict) else container[key])[:40]!r}"


def spelled(value: Any, known: dict[int, int]) -> int:
    """About how many bytes of JSON a value takes. A repeated list holds one and the same part many times,
    so that a change of this part counts as often: each part is walked through once."""
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, (dict, list)):
        return 8
    if id(value) not in known:
        keys = sum(map(len, value)) if isinstance(value, dict) else 0
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = keys + sum(4 + spelled(part, known) for part in parts)
    return known[id(value)]


def contains(value: Any, container: Any) -> bool:
    return value is container or any(here is container for here, _ in places(value))


def strange(rng: np.random.Generator) -> Any:
    return copy.deepcopy(pick(rng, STRANGE))


def expansion(rng: np.random.Generator) -> bytes:
    """Raw JSON that takes far more memory than bytes."""
    item = pick(
        rng, [b"[]", b"{}", b'{"a":1}', b'""', b"1", b"999", b'"ab"', b"[[]]", b'"\\u0100"', b"1.5", b"[1,2]"]
    )
    count = int(2 ** rng.integers(8, 21))
    kind = int(rng.integers(4))
    if kind == 0:
        return b"[" * count
    if kind == 1:
        return b"{" + b",".join(b'"%x":%s' % (at, item) for at in range(min(count, 200_000))) + b"}"
    return b"[" + b",".join([item] * count) + b"]"


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
