"""Changes of JSON: something else in a place of a value; raw JSON that takes far more memory than bytes."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np

__all__ = ["LARGEST", "change_json", "expansion", "pick"]

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
        container[
            pick(rng, ["x", "precision", "ngrams", "ngram_rows", "int8", "adapted", "kind", "peaks"])
        ] = strange(rng)
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
    return (
        value is container or any(here is container for here, _ in places(value))
        if isinstance(value, (dict, list))
        else False
    )


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
