"""Curves in a terminal. Pure functions of numbers.

``plot`` draws a ``LossView`` with braille dots: two across and four down to a character. The training loss is
a solid line, the validation loss a dotted one, so that they differ without colour; where both meet, the
character shows the validation line. Every row has exactly the same width. ``sparkline`` draws values in one
line of text, the least value lowest; what is not finite leaves a gap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from pantoum.report.loss import Axis, LossView, bucketed
from pantoum.report.story import LARGEST
from pantoum.report.wording import finite

Row = list[tuple[str, str]]
"""Spans of one line: the text, and what it is: ``axis``, ``training``, ``validation``, or nothing."""
BLANK = 0x2800
# The bit of each dot in a braille character, by row and column (Unicode, Braille Patterns).
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
LEAST_WIDTH, LEAST_HEIGHT = 16, 3
MARGIN = 6
EVERY = {"training": 1, "validation": 3}
"""One in this many dots of a line is drawn."""
BARS = "▁▂▃▄▅▆▇█"


def plot(view: LossView, width: int, height: int) -> list[Row]:
    """The picture as ``height`` rows of ``width`` characters; empty where there is no room for one."""
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return []
    across, down = width - MARGIN - 1, height - 2
    cells = [[(0, "")] * across for _ in range(down)]
    for name, every in EVERY.items():
        points = view.lines.get(name, [])
        if name == "training":
            points = [(b.x, b.mean) for b in bucketed(points, view.x, 2 * across)]
        places = [
            (view.x.place(x) * (2 * across - 1), (1.0 - view.y.place(y)) * (4 * down - 1)) for x, y in points
        ]
        for x, y in _dots(places, 16 * down)[::every]:
            if 0 <= x < 2 * across and 0 <= y < 4 * down:
                bits, _ = cells[y // 4][x // 2]
                cells[y // 4][x // 2] = bits | DOTS[y % 4][x % 2], name
    labels = _heights(view.y, down) if view.lines else {}
    rows: list[Row] = []
    for number, row in enumerate(cells):
        label = labels.get(number, "")
        spans = groupby(row, lambda cell: cell[1])
        rows.append([(f"{label:>{MARGIN - 1}} {'┤' if label else '│'}", "axis")])
        rows[-1] += [("".join(chr(BLANK + b) if b else " " for b, _ in span), name) for name, span in spans]
    ticks, names = _across(view.x if view.lines else Axis(0.0, 1.0), across)
    return [*rows, [(" " * MARGIN + "└" + ticks, "axis")], [(" " * (MARGIN + 1) + names, "axis")]]


def _dots(places: Sequence[tuple[float, float]], tallest: int) -> list[tuple[int, int]]:
    """The dots of a line through these places; of a leap far out of the picture at most ``tallest``."""
    dots = [(round(x), round(y)) for x, y in places[:1]]
    for (x0, y0), (x1, y1) in pairwise(places):
        steps = max(math.ceil(abs(x1 - x0)), math.ceil(min(abs(y1 - y0), tallest)), 1)
        parts = [step / steps for step in range(1, steps + 1)]
        dots += [(round(x0 + (x1 - x0) * part), round(y0 + (y1 - y0) * part)) for part in parts]
    return dots


def _heights(axis: Axis, rows: int) -> dict[int, str]:
    """The label of each row that has one; where two would share a row or touch, the upper one."""
    labels: dict[int, str] = {}
    for value, label in reversed(axis.ticks):
        row = min(int((1.0 - axis.place(value)) * rows), rows - 1)
        if row not in labels and row - 1 not in labels:
            labels[row] = label
    return labels


def _across(axis: Axis, width: int) -> tuple[str, str]:
    """The line under the picture with its ticks, and their labels, as many as fit."""
    line, names, end = ["─"] * width, [" "] * width, -2
    for value, label in axis.ticks:
        at = round(axis.place(value) * (width - 1))
        start = min(max(at - len(label) // 2, 0), width - len(label))
        if start > end + 1 and start >= 0:
            line[at] = "┬"
            names[start : start + len(label)] = label
            end = start + len(label)
    return "".join(line), "".join(names)


def sparkline(values: Sequence[object], width: int = 60) -> str:
    """The values as at most ``width`` bars, each the mean of its share of them; empty where there is no
    finite value."""
    many = min(width, len(values))
    edges = [column * len(values) // many for column in range(many + 1)] if many else []
    columns = [_mean(values[a:b]) for a, b in pairwise(edges)]
    known = [value for value in columns if value is not None]
    if not known:
        return ""
    least, height = min(known), max(known) - min(known)

    def bar(value: float) -> str:
        # A curve without any height is drawn at its middle: neither good nor bad.
        return BARS[round(((value - least) / height if height else 0.5) * (len(BARS) - 1))]

    return "".join(" " if value is None else bar(value) for value in columns)


def _mean(values: Sequence[object]) -> float | None:
    known = [number for value in values if (number := finite(value)) is not None and abs(number) <= LARGEST]
    return sum(known) / len(known) if known else None
