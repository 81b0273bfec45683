"""JSON as our files use it: one spelling for one value, and nothing that surprises when it is read.

``encode`` writes canonical JSON (keys sorted, no spaces, ASCII), so that equal values are equal bytes.
``decode`` takes what ``encode`` writes and refuses what other JSON readers let through: a key given
twice, NaN and infinities, numbers too large for a float, nesting without end, and values that would take far
more memory than their text. Every refusal is a ``ValueError``; the format that called turns it into its own
error.
"""

from __future__ import annotations

import json
import math
from typing import Any

from pantoum.config.plain import Plain

COSTS = ((b"[", 80), (b"{", 120), (b":", 80), (b",", 40))
"""Bytes of memory for each of these signs: a list and its first slots; a dict; a key with its entry; a value
beside others. Measured with CPython 3.11 and rounded up: ``[],`` takes 22 times its text, ``{"a":1},`` 25."""
STRING_COST = 60
SPARE = 48 << 20
MOST_TIMES = 8
"""A text may take ``MOST_TIMES`` times its size in memory, and ``SPARE`` more (docs/decisions/036)."""


def encode(value: object, *, keep_order: bool = False) -> bytes:
    """Canonical JSON. Keys must be text (JSON would turn others into text without a word), floats finite.

    ``keep_order`` leaves keys as they stand, for lines that people read; such bytes are not canonical.
    """
    _require_plain(value)
    text = json.dumps(value, sort_keys=not keep_order, separators=(",", ":"), allow_nan=False).encode("ascii")
    require_cost(cost(text), len(text))  # what ``decode`` would refuse is not written
    return text


def decode(data: bytes) -> Any:
    """The value of strict JSON; ``ValueError`` for anything else.

    What it takes in memory is bounded before it is made: ``require_cost``.
    """
    require_cost(cost(data), len(data))
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def cost(data: bytes) -> int:
    """An upper bound of the memory that the value of a JSON text takes, in bytes.

    Signs are counted wherever they stand, inside strings too: one fast pass over the text for each.
    """
    strings = data.count(b'"') // 2 * STRING_COST
    # One character beyond Latin makes two or four bytes of each character beside it.
    width = 8 if not data.isascii() else 4 if b"\\u" in data else 0
    return width * len(data) + strings + sum(each * data.count(sign) for sign, each in COSTS)


def require_cost(bytes_of_memory: int, bytes_of_text: int) -> None:
    """``ValueError`` where a value would take far more memory than its text."""
    if bytes_of_memory > MOST_TIMES * bytes_of_text + SPARE:
        raise ValueError(
            f"its {bytes_of_text:,} bytes of JSON would take {bytes_of_memory:,} bytes of memory: it is made "
            "of very many very small values"
        )


def _require_plain(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"JSON keys must be text, not {key!r}")
            _require_plain(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _require_plain(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a figure is {value}, which JSON cannot represent")


def _unique(pairs: list[tuple[str, Plain]]) -> dict[str, Plain]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits} is too large")
    return value
