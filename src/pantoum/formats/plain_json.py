"""JSON as our files use it: one spelling for one value, and nothing that surprises when it is read.

``encode`` writes canonical JSON (keys sorted, no spaces, ASCII), so that equal values are equal bytes.
``decode`` takes what ``encode`` writes and refuses what other JSON readers let through: a key given
twice, NaN and infinities, numbers too large for a float, nesting without end. Every refusal is a
``ValueError``; the format that called turns it into its own error.
"""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["decode", "encode"]


def encode(value: Any, *, keep_order: bool = False) -> bytes:
    """Canonical JSON. Keys must be text (JSON would turn others into text without a word), floats finite.

    ``keep_order`` leaves keys as they stand, for lines that people read; such bytes are not canonical.
    """
    _require_plain(value)
    return json.dumps(value, sort_keys=not keep_order, separators=(",", ":"), allow_nan=False).encode("ascii")


def decode(data: bytes) -> Any:
    """The value of strict JSON; ``ValueError`` for anything else."""
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


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
        raise ValueError(f"a figure is {value}, which JSON cannot hold")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
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
