"""The loss curve in a terminal, drawn with braille dots: two dots across and four down to a character.

A pure function from a ``LossView`` and a size to rows of spans. The training loss is a solid line, the
validation loss a dotted one, so that they differ without colour; where both meet, the character shows the
validation line. Every row has exactly the same width. A small terminal gets fewer ticks, or none.

A curve in one line of text: eight heights of bars, the least value lowest.

A pure function of numbers. Values that are not finite leave a gap; more values than columns are averaged
column by column, so the line keeps the curve's shape.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from itertools import groupby

from pantoum.report.axes import Axis, bucketed
from pantoum.report.loss import LossView
from pantoum.report.wording import finite

__all__ = ["BARS", "Row", "plot", "sparkline"]

Row = list[tuple[str, str]]
"""Spans of one line: the text, and what it is: ``axis``, ``training``, ``validation``, ``reference``, or
nothing."""
ACROSS, DOWN = 2, 4
BLANK = 0x2800
# The bit of each dot in a braille character, by row and column (Unicode, Braille Patterns).
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
LEAST_WIDTH, LEAST_HEIGHT = 16, 3
MARGIN = 6
EVERY = 3
"""One in this many dots of the validation line is drawn."""


class _Canvas:
    """Dots and what owns each character."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.bits = [[0] * width for _ in range(height)]
        self.owner = [[""] * width for _ in range(height)]

    def dot(self, x: int, y: int, owner: str) -> None:
        """A dot, counted from the top left; outside it is not drawn."""
        if 0 <= x < self.width * ACROSS and 0 <= y < self.height * DOWN:
            self.bits[y // DOWN][x // ACROSS] |= DOTS[y % DOWN][x % ACROSS]
            self.owner[y // DOWN][x // ACROSS] = owner

    def line(self, points: list[tuple[float, float]], owner: str, every: int) -> None:
        """A line through points given in shares of the canvas, from the bottom left."""
        across, down = self.width * ACROSS - 1, self.height * DOWN - 1
        places = [(x * across, (1.0 - y) * down) for x, y in points]
        drawn = 0
        for (x0, y0), (x1, y1) in zip(places, places[1:] or places, strict=False):
            steps = max(math.ceil(abs(x1 - x0)), math.ceil(min(abs(y1 - y0), 4 * down)), 1)
            for step in range(1 if drawn else 0, steps + 1):
                part = step / steps
                if drawn % every == 0:
                    self.dot(round(x0 + (x1 - x0) * part), round(y0 + (y1 - y0) * part), owner)
                drawn += 1

    def rows(self) -> list[Row]:
        found = []
        for bits, owners in zip(self.bits, self.owner, strict=True):
            cells = [(chr(BLANK + b) if b else " ", o) for b, o in zip(bits, owners, strict=True)]
            found.append(
                [("".join(c for c, _ in run), owner) for owner, run in groupby(cells, lambda cell: cell[1])]
            )
        return found


def plot(view: LossView, width: int, height: int) -> list[Row]:
    """The picture as ``height`` rows of ``width`` characters; empty where there is no room for one."""
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return []
    inner = width - MARGIN - 1
    canvas = _Canvas(inner, height - 2)
    for name, every in (("training", 1), ("validation", EVERY)):
        points = view.lines.get(name, [])
        if name == "training":
            points = [(b.x, b.mean) for b in bucketed(points, view.x, inner * ACROSS)]
        canvas.line([(view.x.place(x), view.y.place(y)) for x, y in points], name, every)
    labels = _heights(view.y, canvas.height) if view.lines else {}
    rows: list[Row] = []
    for number, row in enumerate(canvas.rows()):
        label = labels.get(number, "")
        rows.append([(f"{label:>{MARGIN - 1}} {'┤' if label else '│'}", "axis"), *row])
    ticks, names = _across(view.x if view.lines else None, inner)
    return [*rows, [(" " * MARGIN + "└" + ticks, "axis")], [(" " * (MARGIN + 1) + names, "axis")]]


def _heights(axis: Axis, rows: int) -> dict[int, str]:
    """The label of each row that has one; where two would share a row or touch, the upper one."""
    found: dict[int, str] = {}
    for value, label in reversed(axis.ticks):
        row = min(int((1.0 - axis.place(value)) * rows), rows - 1)
        if row not in found and row - 1 not in found:
            found[row] = label
    return found


def _across(axis: Axis | None, width: int) -> tuple[str, str]:
    """The line under the picture with its ticks, and their labels, as many as fit."""
    line, names, end = ["─"] * width, [" "] * width, -2
    for value, label in axis.ticks if axis is not None else ():
        at = round(axis.place(value) * (width - 1)) if axis is not None else 0
        start = min(max(at - len(label) // 2, 0), width - len(label))
        if start > end + 1 and start >= 0:
            line[at] = "┬"
            names[start : start + len(label)] = label
            end = start + len(label)
    return "".join(line), "".join(names)


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
