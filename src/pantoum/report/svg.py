"""Pictures as SVG: loss curves, small multiples of one figure, a comparison of runs.

Pure functions to a string: the same records, the same bytes. Colours are custom properties of the page, with
fallbacks, so that a picture can also be shown alone. Labels, dots and dashes distinguish the lines, not
colour alone; labels never overlap. Each picture is described in words. Nothing that is not finite is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from pantoum.report.comparison import TITLES, Comparison
from pantoum.report.escape import markup, tag
from pantoum.report.loss import Axis, Bucket, LossView, bucketed, loss_axis
from pantoum.report.story import Note
from pantoum.report.wording import figure

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 46, 98, 30, 38
EDGE, FLOOR = WIDTH - RIGHT, HEIGHT - BOTTOM
NAME_HEIGHT, REFERENCE_HEIGHT = 35.0, 17.0
"""Room that the label of a line (name and figure) and that of a reference take at the right."""
MOST_DOTS = 40
MOST_ROWS = 40
"""Groups of a comparison that are drawn, the best first."""
LONGEST = 30
"""Characters of the name of a group that there is room for."""

STYLE = """\
.curve{display:block;width:100%;height:auto;font:12.5px system-ui,sans-serif;color:var(--ink,#201d1a)}
.curve text{fill:var(--soft,#625c54)}
.curve .grid{stroke:var(--rule,#e2ddd3);stroke-width:1}
.curve .base{stroke:var(--edge,#8d867b);stroke-width:1}
.curve .line{fill:none;stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}
.curve .training{stroke:var(--training,#48698c)}
.curve .validation{stroke:var(--validation,#a8401c)}
.curve .band{stroke:none;fill:var(--training,#48698c);opacity:.16}
.curve .dot{fill:var(--paper,#fdfcf9);stroke-width:1.75}
.curve .best{fill:var(--validation,#a8401c);stroke-width:1.75}
.curve .run{fill:var(--training,#48698c);fill-opacity:.55}
.curve .mean{stroke:var(--validation,#a8401c);stroke-width:2.5}
.curve .reference{stroke:var(--edge,#8d867b);stroke-width:1;stroke-dasharray:2 4}
.curve .event{fill:var(--ink,#201d1a)}
.curve text.name{font-weight:600}
.curve text.training{stroke:none;fill:var(--training,#48698c)}
.curve text.validation{stroke:none;fill:var(--validation,#a8401c)}
.curve .empty{font-style:italic}
.small{display:block;width:100%;height:auto;overflow:visible}
.small path{fill:none;stroke:var(--ink,#201d1a);stroke-width:1.5;vector-effect:non-scaling-stroke}
.small .area{fill:var(--rule,#e2ddd3);stroke:none}
"""
ALONE = {"xmlns": "http://www.w3.org/2000/svg", "style": "background:#fdfcf9"}
"""What a picture needs that stands in no page of ours."""


class _Line(NamedTuple):
    """A line of a loss curve as it is drawn."""

    name: str
    buckets: list[Bucket]
    last: float


def _drawn(view: LossView, name: str) -> _Line:
    points = view.lines[name]
    # Each evaluation is a figure of its own: all are drawn as long as they are few.
    few = name == "validation" and len(points) <= 2 * MOST_DOTS
    buckets = [Bucket(a, b, b, b) for a, b in points] if few else bucketed(points, view.x)
    return _Line(name, buckets, points[-1][1])


def _across(view: LossView, value: float) -> float:
    return round(LEFT + view.x.place(value) * (EDGE - LEFT), 1)


def _down(view: LossView, value: float) -> float:
    # Far above the picture is high enough: a number of twenty digits draws no better.
    place = min(max(view.y.place(value), -1.0), 3.0)
    return round(FLOOR - place * (FLOOR - TOP), 1)


def _text(x: float, y: float, words: str, kind: str | None = None, anchor: str | None = None) -> str:
    return tag("text", markup(words), class_=kind, x=x, y=round(y, 1), text_anchor=anchor)


def _level(kind: str, y: float) -> str:
    return tag("line", class_=kind, x1=LEFT, x2=EDGE, y1=y, y2=y)


def curve(view: LossView, notes: Sequence[Note] = (), *, standalone: bool = False) -> str:
    """The picture as an ``<svg>``; ``standalone``: as a file of its own, with its style."""
    across, down = partial(_across, view), partial(_down, view)
    lines = [_drawn(view, name) for name in view.lines]
    body = [
        _text(0, 13, f"nats per {view.unit}", "unit"),
        _text(EDGE, HEIGHT - 4, view.x_title, None, "end"),
        _level("base", FLOOR),
    ]
    if not lines:
        body.append(_text(WIDTH // 2, HEIGHT // 2, "no reports yet", "empty", "middle"))
    else:
        for value, label in view.y.ticks:
            body += [_level("grid", down(value)), _text(LEFT - 9, down(value) + 4, label, None, "end")]
        for value, label in view.x.ticks:
            x = across(value)
            body.append(tag("line", class_="base", x1=x, x2=x, y1=FLOOR, y2=FLOOR + 4))
            body.append(_text(x, FLOOR + 18, label, None, "middle"))
        body += [_level("reference", down(each.loss)) for each in view.references]
        body += [*_lines(view, lines), *_events(view, notes), *_labels(view, lines)]
    name = f"by-{view.field}"
    points = {
        line.name: [[across(b.x), down(b.mean), view.spell(b.x), figure(b.mean)] for b in line.buckets]
        for line in lines
    }
    words = [tag("title", markup(view.title), id=f"{name}-title")]
    words.append(tag("desc", markup(_description(view, lines)), id=f"{name}-words"))
    return tag(
        "svg",
        "".join(words) + (tag("style", STYLE) if standalone else "") + "".join(body),
        class_="curve",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-words",
        # What the script of the page shows at the pointer: position and words of every point.
        data_readout=None if standalone else json.dumps(points, separators=(",", ":"), ensure_ascii=False),
        **(ALONE if standalone else {}),
    )


def _lines(view: LossView, lines: Sequence[_Line]) -> list[str]:
    """The lines, within the frame of the picture."""
    across, down, clip = partial(_across, view), partial(_down, view), f"by-{view.field}-frame"
    parts = []
    for name, buckets, _ in lines:
        if name == "training" and len(buckets) > 1:
            edge = [f"{across(b.x)},{down(b.most)}" for b in buckets]
            back = [f"{across(b.x)},{down(b.least)}" for b in reversed(buckets)]
            parts.append(tag("path", class_="band", d=f"M{'L'.join(edge + back)}Z"))
    for name, buckets, _ in lines:
        if len(buckets) > 1:
            path = "L".join(f"{across(b.x)},{down(b.mean)}" for b in buckets)
            parts.append(tag("path", class_=f"line {name}", d=f"M{path}"))
        dots = [("dot training", b, 3.5) for b in buckets if len(buckets) == 1]
        if name == "validation":
            best = min(buckets, key=lambda b: b.mean)
            dots = [("dot validation", b, 2.5) for b in buckets if len(buckets) <= MOST_DOTS and b != best]
            dots.append(("best validation", best, 4.0))
        parts += [
            tag("circle", class_=kind, cx=across(b.x), cy=down(b.mean), r=f"{r:g}") for kind, b, r in dots
        ]
    frame = tag("rect", x=LEFT, y=TOP - 8, width=EDGE - LEFT + 6, height=FLOOR - TOP + 8)
    return [tag("clipPath", frame, id=clip), tag("g", "".join(parts), clip_path=f"url(#{clip})")]


def _events(view: LossView, notes: Sequence[Note]) -> list[str]:
    """A mark on the axis for each note; pointing at it shows the text."""
    places = [(note.tokens if view.field == "tokens" else note.seconds, note.text) for note in notes]
    return [
        tag(
            "path",
            tag("title", markup(text)),
            class_="event",
            d=f"M{_across(view, place)},{FLOOR - 7}l4,7h-8z",
        )
        for place, text in places
        if place is not None and view.x.least <= place <= view.x.most
    ]


def _labels(view: LossView, lines: Sequence[_Line]) -> list[str]:
    """The name and the last figure of each line, and the references, at the right, pushed apart."""
    ends = [(_down(view, line.buckets[-1].mean), line.name, line.last, True) for line in lines]
    ends += [(_down(view, each.loss), each.name, each.loss, False) for each in view.references]
    ends.sort()
    wanted = [(y - 14.0, NAME_HEIGHT) if line else (y - 8.0, REFERENCE_HEIGHT) for y, _, _, line in ends]
    tops = spread_apart(wanted, TOP - 14.0, FLOOR + 8.0)
    x, labels = EDGE + 10, []
    for top, (_, name, loss, line) in zip(tops, ends, strict=True):
        if line:
            labels.append(_text(x, top + 12.0, name, f"name {name}"))
            labels.append(_text(x, top + 28.0, figure(loss), f"value {name}"))
        else:
            labels.append(_text(x, top + 12.0, f"{name} {figure(loss)}", "aside"))
    return labels


def _description(view: LossView, lines: Sequence[_Line]) -> str:
    """The picture in words."""
    parts = []
    for name, buckets, last in lines:
        end = view.spell(buckets[-1].x)
        parts.append(
            f"{name.capitalize()} loss goes from {figure(buckets[0].mean)} to {figure(last)} nats per "
            f"{view.unit} at {end}."
        )
        if name == "validation":
            parts.append(f"The lowest validation loss is {figure(min(b.mean for b in buckets))}.")
    return " ".join(parts) or "No reports yet."


def spread_apart(wanted: Sequence[tuple[float, float]], least: float, most: float) -> list[float]:
    """The tops of labels (wanted top, height), in their order, moved as little as needed so that none overlap
    and all lie between ``least`` and ``most``, as far as there is room."""
    tops: list[float] = []
    end = least
    for top, height in wanted:
        tops.append(max(top, end))
        end = tops[-1] + height
    end = most
    for place in reversed(range(len(tops))):
        tops[place] = end = max(min(tops[place], end - wanted[place][1]), least)
    return tops


def small(points: Sequence[tuple[float, float]], words: str) -> str:
    """The shape of one figure over the run, without axes; ``words`` describes it for screen readers."""
    width, height = 160, 40
    body = ""
    if len(points) > 1 and points[-1][0] > points[0][0]:
        axis = Axis(points[0][0], points[-1][0])
        buckets = bucketed(points, axis, 80)
        low = min(b.mean for b in buckets)
        span = max(b.mean for b in buckets) - low or 1.0
        line = "L".join(
            f"{axis.place(b.x) * width:.1f},{height - 2 - (b.mean - low) / span * (height - 6):.1f}"
            for b in buckets
        )
        body = tag("path", class_="area", d=f"M0,{height}L{line}L{width},{height}Z")
        body += tag("path", d=f"M{line}")
    box = f"0 0 {width} {height}"
    return tag(
        "svg", body, class_="small", viewBox=box, preserveAspectRatio="none", role="img", aria_label=words
    )


def compared(comparison: Comparison) -> str:
    """A comparison: a row per group on one axis, a dot per run, a bar at their mean, so that a reader sees
    whether two settings differ by more than their seeds do. Empty if no run has the figure."""
    by = comparison.by
    groups = [(group.name, known) for group in comparison.groups if (known := group.figures[by].known)]
    if not groups:
        return ""
    groups = groups[:MOST_ROWS]
    axis = loss_axis([value for _, known in groups for value in known])
    width, left, row = 640, 220, 26
    floor = TOP + row * len(groups)

    def across(value: float) -> float:
        return round(left + axis.place(value) * (width - left - 24), 1)

    body = []
    for value, label in axis.ticks:
        x = across(value)
        body.append(tag("line", class_="grid", x1=x, x2=x, y1=TOP, y2=floor))
        body.append(_text(x, floor + 16, label, None, "middle"))
    for number, (name, known) in enumerate(groups):
        y = TOP + row * number + row // 2
        shown = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        words = markup(shown) + tag("title", markup(name))
        body.append(tag("text", words, x=left - 12, y=y + 4, text_anchor="end"))
        body += [
            tag("circle", tag("title", figure(value, 4)), class_="run", cx=across(value), cy=y, r=4.5)
            for value in known
        ]
        if len(known) > 1:
            x = across(sum(known) / len(known))
            body.append(tag("line", class_="mean", x1=x, x2=x, y1=y - 9, y2=y + 9))
    title = f"{TITLES[by]}, lower is better; a dot per run, a bar at the mean"
    body.append(_text(left, floor + 34, title))
    return tag(
        "svg",
        tag("style", STYLE) + "".join(body),
        class_="curve",
        viewBox=f"0 0 {width} {floor + 44}",
        role="img",
        aria_label=title,
        **{**ALONE, "style": f"background:#fdfcf9;max-width:{width}px"},
    )
