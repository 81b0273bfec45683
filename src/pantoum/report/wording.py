"""Formats figures for people: counts, durations, shares, sizes.

Page, live view and tables use the same formats, so that two views of one run never disagree. A number that is
missing or not finite is an em dash.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = [
    "MISSING",
    "clock",
    "count",
    "figure",
    "finite",
    "loss_in_words",
    "perplexity",
    "rate",
    "share",
    "size",
    "spoken",
    "unit_of",
]

MISSING = "—"
UNITS = ("byte", "character", "word")


def finite(value: object) -> float | None:
    """The number that ``value`` is, or ``None`` where it is missing, no number, or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond every float
        return None


def figure(value: object, digits: int = 3) -> str:
    """A loss or a like figure with a fixed number of decimals, so that columns align."""
    number = finite(value)
    return MISSING if number is None else f"{number:.{digits}f}"


def unit_of(found: Mapping[str, object]) -> str:
    """What a token of an evaluation is; of a file, that may say anything, one of the words that we know."""
    unit = found.get("unit")
    return unit if isinstance(unit, str) and unit in UNITS else "token"


def loss_in_words(found: Mapping[str, object]) -> tuple[str, str]:
    """The loss of an evaluation as people compare it, and its unit: per character, or per token where these
    are not known. A model of bytes has a loss per byte, for its text may have no characters."""
    per_character, unit = finite(found.get("nats_per_character")), unit_of(found)
    if per_character is None or unit == "byte":
        return figure(found.get("nats_per_token")), f"nats per {unit}"
    return figure(per_character), "nats per character"


def perplexity(nats: object) -> str:
    """The perplexity of a loss in nats, in four digits as papers give it: ``96.42``, ``141.9``, ``1,203``."""
    number = finite(nats)
    if number is None:
        return MISSING
    value = math.exp(min(number, 700.0))
    if value >= 1e6:
        return f"{value:.3g}"
    return f"{value:,.{2 if value < 99.995 else 1 if value < 999.95 else 0}f}"


def count(value: object) -> str:
    """How many, in three digits: ``999``, ``1,234``, ``15.0 k``, ``5.14 M``, ``1.20 G``."""
    number = finite(value)
    if number is None:
        return MISSING
    if abs(number) < 9_999.5:
        return f"{number:,.0f}"
    for unit, letter in ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        scaled = number / unit
        if abs(scaled) < 999.5 or letter == "T":
            digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return f"{scaled:,.{digits}f} {letter}"
    raise AssertionError("the last unit takes every number")


def clock(seconds: object) -> str:
    """A duration: ``0:07``, ``4:05``, ``1:02:33``."""
    number = finite(seconds)
    if number is None:
        return MISSING
    whole = int(max(number, 0.0) + 0.5)
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{rest // 60}:{rest % 60:02d}"


def spoken(seconds: object) -> str:
    """A duration in words, its two largest parts: ``40 seconds``, ``5 minutes``, ``1 hour 12 minutes``."""
    number = finite(seconds)
    if number is None:
        return MISSING
    whole = int(max(number, 0.0) + 0.5)
    parts = (
        ("hour", whole // 3600),
        ("minute", whole // 60 % 60),
        ("second", whole % 60 if whole < 3600 else 0),
    )
    words = [f"{many:,} {name}{'' if many == 1 else 's'}" for name, many in parts if many]
    return " ".join(words) or "0 seconds"


def share(part: object) -> str:
    """A share of one in percent: ``58.1 %``."""
    number = finite(part)
    return MISSING if number is None else f"{100 * number:.1f} %"


def rate(value: object) -> str:
    """A learning rate or a norm, in three significant digits: ``0.002``, ``3.1e-05``."""
    number = finite(value)
    return MISSING if number is None else f"{number:.3g}"


def size(value: object) -> str:
    """Bytes as people read them: ``6.3 kB``, ``16.5 MB``."""
    number = finite(value)
    if number is None:
        return MISSING
    for unit, letters in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(number) >= unit:
            return f"{number / unit:.1f} {letters}"
    return f"{number:.0f} B"
