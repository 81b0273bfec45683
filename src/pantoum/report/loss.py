"""The content of a loss curve before it is drawn: two lines, two axes, references.

By tokens on a logarithmic axis: the whole run with its beginning. By time on a linear axis: whether the loss
still falls; there the first losses may lie above the picture, so that the last ones can be distinguished. The
SVG of the page, the dots in a terminal and matplotlib draw the same ``LossView``.

An axis maps a value to a place between 0 and 1. Ticks stand at 1, 2 or 5 times a power of ten (on a clock at
what clocks have: 15 s, 1 min, 5 min), as many as fit.

**Smoothing.** A curve is drawn from at most ``BUCKETS`` points: the axis is cut into as many equal parts,
and each part is drawn at the mean of the reports in it, with their least and greatest as a band. So nothing
lags behind, as a running average would, and the noise stays visible. Few reports are drawn as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from pantoum.report.story import Reference, RunHistory
from pantoum.report.wording import clock, count, scaled

BUCKETS = 120
MOST_TICKS = 6
CLOCK = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
GONE = 0.06
"""Share of a linear axis at its start whose losses do not set the height of the picture."""
REACH = 0.4
"""How far above the losses, in their span, a reference may lie and still be drawn."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A finite interval, straight or logarithmic, and its ticks."""

    least: float
    most: float
    ticks: tuple[tuple[float, str], ...] = ()
    log: bool = False

    def place(self, value: float) -> float:
        """Where ``value`` lies: 0 at ``least``, 1 at ``most``; outside of both where the value is."""
        if self.log:
            value = math.log(max(value, self.least * 1e-3))
            return (value - math.log(self.least)) / (math.log(self.most) - math.log(self.least))
        return (value - self.least) / (self.most - self.least)


class Bucket(NamedTuple):
    """The reports in one part of an axis."""

    x: float
    mean: float
    least: float
    most: float


def bucketed(points: Iterable[Point], axis: Axis, parts: int = BUCKETS) -> list[Bucket]:
    """Points cut down to at most one bucket for each part of the axis, at the mean of what is in it."""

    def part(point: Point) -> int:
        return min(max(int(axis.place(point[0]) * parts), 0), parts - 1)

    return [_bucket([*inside]) for _, inside in groupby(points, part)]


def _bucket(inside: Sequence[Point]) -> Bucket:
    values = [y for _, y in inside]
    x = inside[0][0] if len(inside) == 1 else sum(x for x, _ in inside) / len(inside)
    return Bucket(x, sum(values) / len(values), min(values), max(values))


def _multiples(least: float, most: float, step: float) -> list[float]:
    first, last = math.ceil(least / step - 1e-9), math.floor(most / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def loss_axis(values: Iterable[float]) -> Axis:
    """An axis over all these values, a little wider than they are."""
    values = [*values] or [0.0, 1.0]
    least, most, margin = min(values), max(values), 0.06
    span = most - least
    if span <= 1e-9 * max(abs(most), 1.0):
        span, margin = max(abs(most), 1.0), 0.25
    least, most = least - margin * span, most + margin * span
    rough = (most - least) / MOST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1.0, 2.0, 5.0, 10.0) if power * times >= rough * 0.999)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return Axis(least, most, tuple((v, f"{v:.{digits}f}") for v in _multiples(least, most, step)))


def count_axis(values: Iterable[float]) -> Axis:
    """A logarithmic axis of counts from the least to the greatest value."""
    positive = [v for v in values if v > 0.0] or [1.0]
    least, most = min(positive), max(positive)
    if most <= least * 1.001:
        least, most = least / 2.0, most * 2.0
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    steps: list[float] = []
    for factors in ((1, 2, 5), (1, 3), (1,)):
        steps = [f * 10.0**p for p in powers for f in factors if least * 0.999 <= f * 10.0**p <= most * 1.001]
        if len(steps) <= MOST_TICKS:
            break
    steps = steps[:: -math.ceil(len(steps) / MOST_TICKS) or 1][::-1]
    return Axis(least, most, tuple((v, "{:g}{}".format(*scaled(v))) for v in steps), log=True)


def clock_axis(seconds: Iterable[float]) -> Axis:
    """An axis of time from zero to the greatest value."""
    most = max([*seconds, 1.0])
    days = 86400 * math.ceil(most / 86400 / MOST_TICKS)
    step = next((s for s in CLOCK if most / s <= MOST_TICKS), days)
    return Axis(0.0, most, tuple((v, clock(v)) for v in _multiples(0.0, most, step)))


@dataclass(frozen=True)
class LossView:
    """A picture to be drawn."""

    title: str
    x_title: str
    field: str
    """The field of the records that the horizontal axis shows."""
    spell: Callable[[object], str]
    """How a value of the horizontal axis is written."""
    unit: str
    """What a token is."""
    x: Axis
    y: Axis
    lines: dict[str, list[Point]]
    """``training`` and ``validation``, those that have points."""
    references: tuple[Reference, ...]
    """Those that lie inside the picture."""


def by_tokens(history: RunHistory, references: Sequence[Reference] = (), unit: str = "token") -> LossView:
    """Loss by tokens trained on, on a logarithmic axis."""
    lines = _lines(history, "tokens", 1.0)
    x = count_axis([a for points in lines.values() for a, _ in points])
    y = loss_axis([b for points in lines.values() for _, b in points] + [r.loss for r in references])
    title = f"{unit}s trained on, log scale"
    return LossView("Loss by tokens", title, "tokens", count, unit, x, y, lines, tuple(references))


def by_time(history: RunHistory, references: Sequence[Reference] = (), unit: str = "token") -> LossView:
    """Loss by time, on a linear axis."""
    lines = _lines(history, "seconds", 0.0)
    x = clock_axis([a for points in lines.values() for a, _ in points])
    smooth = [bucket for points in lines.values() for bucket in bucketed(points, x)]
    late = [bucket.mean for bucket in smooth if bucket.x >= GONE * x.most]
    within: tuple[Reference, ...] = ()
    if late:
        top = max(late) + REACH * (max(late) - min(late))
        within = tuple(r for r in references if min(late) <= r.loss <= top)
    y = loss_axis(late + [r.loss for r in within])
    return LossView("Loss by time", "time", "seconds", clock, unit, x, y, lines, within)


def _lines(history: RunHistory, field: str, least: float) -> dict[str, list[Point]]:
    lines = {
        name: [point for point in history.points(y, field) if point[0] >= least]
        for name, y in (("training", "loss"), ("validation", "valid"))
    }
    return {name: points for name, points in lines.items() if points}
