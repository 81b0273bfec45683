"""A curve in one line of text: eight heights of bars, the least value lowest.

A pure function of numbers. Values that are not finite leave a gap; more values than columns are averaged
column by column, so the line keeps the curve's shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from pantoum.report.wording import finite

__all__ = ["BARS", "sparkline"]

BARS = "▁▂▃▄▅▆▇█"
GAP = " "
LARGEST = 1e18
"""No loss is beyond it; one would hide the others."""


def sparkline(values: Sequence[object], width: int = 60) -> str:
    """The values as at most ``width`` bars; empty where there is no finite value."""
    columns = _columns([_drawable(value) for value in values], width)
    known = [value for value in columns if value is not None]
    if not known:
        return ""
    least, height = min(known), max(known) - min(known)

    def bar(value: float) -> str:
        # A curve without any height is drawn at its middle: neither good nor bad.
        share = (value - least) / height if height else 0.5
        return BARS[round(share * (len(BARS) - 1))]

    return "".join(GAP if value is None else bar(value) for value in columns)


def _drawable(value: object) -> float | None:
    number = finite(value)
    return None if number is None or abs(number) > LARGEST else number


def _columns(values: list[float | None], width: int) -> list[float | None]:
    if len(values) <= width:
        return values
    edges = [column * len(values) // width for column in range(width + 1)]
    return [_mean(values[a:b]) for a, b in itertools.pairwise(edges)]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
