"""The content of a loss curve before it is drawn: two lines, two axes, references.

By tokens on a logarithmic axis: the whole run with its beginning. By time on a linear axis: whether the loss
still falls; there the first losses may lie above the picture, so that the last ones can be distinguished. The
SVG of the page and the dots in a terminal are drawn from the same ``LossView``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pantoum.report.axes import Axis, bucketed, clock_axis, count_axis, loss_axis
from pantoum.report.run_history import RunHistory
from pantoum.report.wording import clock, count

__all__ = ["LossView", "Reference", "by_time", "by_tokens"]

Point = tuple[float, float]
FIELDS = {"training": "loss", "validation": "valid"}
GONE = 0.06
"""Share of a linear axis at its start whose losses do not set the height of the picture."""
REACH = 0.4
"""How far above the losses, in their span, a reference may lie and still be drawn."""


@dataclass(frozen=True)
class Reference:
    """A level to compare with: what ``xz`` reaches on the same validation text, in nats per token."""

    name: str
    loss: float


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
    lines = _lines(history, "tokens")
    x = count_axis([a for points in lines.values() for a, _ in points])
    y = loss_axis([b for points in lines.values() for _, b in points] + [r.loss for r in references])
    return LossView(
        "Loss by tokens",
        f"{unit}s trained on, log scale",
        "tokens",
        count,
        unit,
        x,
        y,
        lines,
        tuple(references),
    )


def by_time(history: RunHistory, references: Sequence[Reference] = (), unit: str = "token") -> LossView:
    """Loss by time, on a linear axis."""
    lines = _lines(history, "seconds")
    x = clock_axis([a for points in lines.values() for a, _ in points])
    smooth = [(b.x, b.mean) for points in lines.values() for b in bucketed(points, x)]
    late = [loss for time, loss in smooth if time >= GONE * x.most]
    within: tuple[Reference, ...] = ()
    if late:
        top = max(late) + REACH * (max(late) - min(late))
        within = tuple(r for r in references if min(late) <= r.loss <= top)
    y = loss_axis(late + [r.loss for r in within])
    return LossView("Loss by time", "time", "seconds", clock, unit, x, y, lines, within)


def _lines(history: RunHistory, field: str) -> dict[str, list[Point]]:
    least = 1.0 if field == "tokens" else 0.0
    found = {name: [p for p in history.points(y, field) if p[0] >= least] for name, y in FIELDS.items()}
    return {name: points for name, points in found.items() if points}
