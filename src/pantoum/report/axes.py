"""Axes: where ticks stand and how they are written, and curves cut down to what a picture can show.

An axis maps a value to a place between 0 and 1. Ticks stand at 1, 2 or 5 times a power of ten (on a clock at
what clocks have: 15 s, 1 min, 5 min), as many as fit.

**Smoothing.** A curve is drawn from at most ``BUCKETS`` points: the axis is cut into as many equal parts,
and each part is drawn at the mean of the reports in it, with their least and greatest as a band. So nothing
lags behind, as a running average would, and the noise stays visible. Few reports are drawn as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pantoum.report.wording import clock, count

__all__ = ["BUCKETS", "Axis", "Bucket", "bucketed", "clock_axis", "count_axis", "loss_axis"]

BUCKETS = 120
MOST_TICKS = 6
Point = tuple[float, float]
Tick = tuple[float, str]


@dataclass(frozen=True)
class Axis:
    """A finite interval, straight or logarithmic, and its ticks."""

    least: float
    most: float
    ticks: tuple[Tick, ...] = ()
    log: bool = False

    def place(self, value: float) -> float:
        """Where ``value`` lies: 0 at ``least``, 1 at ``most``; outside of both where the value is."""
        if self.log:
            value = math.log(max(value, self.least * 1e-3))
            return (value - math.log(self.least)) / (math.log(self.most) - math.log(self.least))
        return (value - self.least) / (self.most - self.least)


@dataclass(frozen=True)
class Bucket:
    """The reports in one part of an axis."""

    x: float
    mean: float
    least: float
    most: float


def bucketed(points: Iterable[Point], axis: Axis, parts: int = BUCKETS) -> list[Bucket]:
    """Points cut down to at most one bucket for each part of the axis, at the mean of what is in it."""
    found: list[Bucket] = []
    inside: list[Point] = []
    part = -1
    for point in points:
        now = min(max(int(axis.place(point[0]) * parts), 0), parts - 1)
        if inside and now != part:
            found.append(_bucket(inside))
            inside = []
        inside.append(point)
        part = now
    if inside:
        found.append(_bucket(inside))
    return found


def _bucket(inside: list[Point]) -> Bucket:
    values = [y for _, y in inside]
    x = inside[-1][0] if len(inside) == 1 else sum(x for x, _ in inside) / len(inside)
    return Bucket(x, sum(values) / len(values), min(values), max(values))


def _step(span: float, most: int) -> float:
    """The least of 1, 2, 5 times a power of ten that gives at most ``most`` steps."""
    rough = span / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * times for times in (1.0, 2.0, 5.0, 10.0) if power * times >= rough * 0.999)


def _multiples(least: float, most: float, step: float) -> list[float]:
    first, last = math.ceil(least / step - 1e-9), math.floor(most / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _widened(values: list[float], margin: float) -> Point:
    least, most = min(values), max(values)
    span = most - least
    if span <= 1e-9 * max(abs(most), 1.0):
        span = max(abs(most), 1.0)
        return least - 0.25 * span, most + 0.25 * span
    return least - margin * span, most + margin * span


def loss_axis(values: Iterable[float]) -> Axis:
    """An axis over all these values, a little wider than they are."""
    least, most = _widened(list(values) or [0.0, 1.0], 0.06)
    step = _step(most - least, MOST_TICKS)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return Axis(least, most, tuple((v, f"{v:.{digits}f}") for v in _multiples(least, most, step)))


def count_axis(values: Iterable[float]) -> Axis:
    """A logarithmic axis of counts from the least to the greatest value."""
    positive = [v for v in values if v > 0.0] or [1.0]
    least, most = min(positive), max(positive)
    if most <= least * 1.001:
        least, most = least / 2.0, most * 2.0
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        steps = [f * 10.0**p for p in powers for f in factors if least * 0.999 <= f * 10.0**p <= most * 1.001]
        if len(steps) <= MOST_TICKS:
            break
    else:
        every = math.ceil(len(steps) / MOST_TICKS)
        steps = steps[::-every][::-1]
    return Axis(least, most, tuple((v, _plain(v)) for v in steps), log=True)


def clock_axis(seconds: Iterable[float]) -> Axis:
    """An axis of time from zero to the greatest value."""
    most = max([*seconds, 1.0])
    usual = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
    step = float(
        next((s for s in usual if most / s <= MOST_TICKS), 86400 * math.ceil(most / 86400 / MOST_TICKS))
    )
    spell: Callable[[float], str] = clock
    return Axis(0.0, most, tuple((v, spell(v)) for v in _multiples(0.0, most, step)))


def _plain(value: float) -> str:
    """A round number without the zeros that ``count`` keeps: ``20 M``, ``0.5 M`` as ``500 k``."""
    for unit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit * 0.9999:
            return f"{value / unit:g} {letter}"
    return count(value)
