"""Loss curves as SVG, and small multiples of one figure.

Pure functions from a ``LossView`` to a string: the same records, the same bytes. ``axes`` does the smoothing
and the ticks. Colours are custom properties of the page, with fallbacks, so that a picture can also be shown
alone. Labels, dots and dashes distinguish the lines, not colour alone; labels never overlap. Each picture has
a title and a description in words. Nothing that is not finite is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pantoum.report.axes import Axis, Bucket, bucketed
from pantoum.report.escape import markup
from pantoum.report.loss import LossView
from pantoum.report.run_history import Note
from pantoum.report.wording import figure

__all__ = ["STYLE", "curve", "small", "spread_apart"]

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 46, 98, 30, 38
NAME_HEIGHT, REFERENCE_HEIGHT = 35.0, 17.0
"""Room that the label of a line (name and figure) and that of a reference take at the right."""
MOST_DOTS = 40

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


def curve(view: LossView, notes: Sequence[Note] = (), *, standalone: bool = False) -> str:
    """The picture as an ``<svg>``; ``standalone``: as a file of its own, with its style."""
    picture = _Picture(view)
    body = [
        *picture.frame(),
        *picture.references(),
        *picture.lines(),
        *picture.events(notes),
        *picture.labels(),
    ]
    if not view.lines:
        body.append(
            f'<text class="empty" x="{WIDTH // 2}" y="{HEIGHT // 2}" text-anchor="middle">'
            "no reports yet</text>"
        )
    name = picture.name
    space = ' xmlns="http://www.w3.org/2000/svg"' if standalone else ""
    style = f"<style>{STYLE}</style>" if standalone else ""
    readout = "" if standalone else f' data-readout="{markup(picture.readout())}"'  # the page has a script
    return (
        f'<svg{space} class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{name}-title {name}-words"{readout}>'
        f'<title id="{name}-title">{markup(view.title)}</title>'
        f'<desc id="{name}-words">{markup(picture.description())}</desc>{style}' + "".join(body) + "</svg>"
    )


class _Picture:
    """A view laid out on the canvas: all positions, and the parts as SVG."""

    def __init__(self, view: LossView) -> None:
        self.view = view
        self.name = f"by-{view.field}"
        self.buckets = {name: self._buckets(name) for name in view.lines}
        self.last = {name: points[-1][1] for name, points in view.lines.items()}

    def _buckets(self, name: str) -> list[Bucket]:
        points = self.view.lines[name]
        # Each evaluation is a figure of its own: all are drawn as long as they are few.
        if name == "validation" and len(points) <= 2 * MOST_DOTS:
            return [Bucket(a, b, b, b) for a, b in points]
        return bucketed(points, self.view.x)

    def across(self, value: float) -> float:
        return round(LEFT + self.view.x.place(value) * (WIDTH - LEFT - RIGHT), 1)

    def down(self, value: float) -> float:
        # Far above the picture is high enough: a number of twenty digits draws no better.
        place = min(max(self.view.y.place(value), -1.0), 3.0)
        return round(HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM), 1)

    def frame(self) -> list[str]:
        right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
        parts = [
            f'<text class="unit" x="0" y="13">nats per {markup(self.view.unit)}</text>',
            f'<text x="{right}" y="{HEIGHT - 4}" text-anchor="end">{markup(self.view.x_title)}</text>',
        ]
        for value, label in self.view.y.ticks if self.view.lines else ():
            y = self.down(value)
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>'
                f'<text x="{LEFT - 9}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
            )
        parts.append(f'<line class="base" x1="{LEFT}" x2="{right}" y1="{floor}" y2="{floor}"/>')
        for value, label in self.view.x.ticks if self.view.lines else ():
            x = self.across(value)
            parts.append(
                f'<line class="base" x1="{x}" x2="{x}" y1="{floor}" y2="{floor + 4}"/>'
                f'<text x="{x}" y="{floor + 18}" text-anchor="middle">{label}</text>'
            )
        return parts

    def references(self) -> list[str]:
        parts = []
        for each in self.view.references if self.view.lines else ():
            y = self.down(each.loss)
            parts.append(f'<line class="reference" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        return parts

    def lines(self) -> list[str]:
        clip = f"{self.name}-frame"
        parts = [
            f'<clipPath id="{clip}"><rect x="{LEFT}" y="{TOP - 8}" width="{WIDTH - LEFT - RIGHT + 6}" '
            f'height="{HEIGHT - TOP - BOTTOM + 8}"/></clipPath><g clip-path="url(#{clip})">'
        ]
        training, held_out = self.buckets.get("training", []), self.buckets.get("validation", [])
        if len(training) > 1:
            edge = [f"{self.across(b.x)},{self.down(b.most)}" for b in training]
            back = [f"{self.across(b.x)},{self.down(b.least)}" for b in reversed(training)]
            parts.append(f'<path class="band" d="M{"L".join(edge + back)}Z"/>')
        for name, buckets in self.buckets.items():
            if len(buckets) > 1:
                path = "L".join(f"{self.across(b.x)},{self.down(b.mean)}" for b in buckets)
                parts.append(f'<path class="line {name}" d="M{path}"/>')
        if len(training) == 1:
            parts.append(self._dot("dot training", training[0], 3.5))
        if held_out:
            best = min(held_out, key=lambda b: b.mean)
            few = len(held_out) <= MOST_DOTS
            parts += [self._dot("dot validation", b, 2.5) for b in held_out if few and b is not best]
            parts.append(self._dot("best validation", best, 4))
        return [*parts, "</g>"]

    def _dot(self, kind: str, bucket: Bucket, radius: float) -> str:
        x, y = self.across(bucket.x), self.down(bucket.mean)
        return f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius:g}"/>'

    def events(self, notes: Sequence[Note]) -> list[str]:
        """A mark on the axis for each note; pointing at it shows the text."""
        parts, floor = [], HEIGHT - BOTTOM
        for note in notes if self.view.lines else ():
            where = note.tokens if self.view.field == "tokens" else note.seconds
            if where is not None and self.view.x.least <= where <= self.view.x.most:
                parts.append(
                    f'<path class="event" d="M{self.across(where)},{floor - 7}l4,7h-8z">'
                    f"<title>{markup(note.text)}</title></path>"
                )
        return parts

    def labels(self) -> list[str]:
        """The name and the last figure of each line, and the references, at the right, pushed apart."""
        x = WIDTH - RIGHT + 10
        named = {each.name: each for each in (self.view.references if self.view.lines else ())}
        ends = [(self.down(buckets[-1].mean), name) for name, buckets in self.buckets.items()]
        ends = sorted(ends + [(self.down(each.loss), name) for name, each in named.items()])
        wanted = [
            (end - 8.0, REFERENCE_HEIGHT) if name in named else (end - 14.0, NAME_HEIGHT)
            for end, name in ends
        ]
        tops = spread_apart(wanted, TOP - 14.0, HEIGHT - BOTTOM + 8.0)
        found = []
        for top, (_, name) in zip(tops, ends, strict=True):
            y = top + 12.0
            if name in named:
                text = f"{markup(name)} {figure(named[name].loss)}"
                found.append(f'<text class="aside" x="{x}" y="{y:.1f}">{text}</text>')
                continue
            found.append(
                f'<text class="name {name}" x="{x}" y="{y:.1f}">{name}</text>'
                f'<text class="value {name}" x="{x}" y="{y + 16:.1f}">{figure(self.last[name])}</text>'
            )
        return found

    def description(self) -> str:
        """The picture in words."""
        parts = []
        for name, buckets in self.buckets.items():
            end = self.view.spell(buckets[-1].x)
            parts.append(
                f"{name.capitalize()} loss goes from {figure(buckets[0].mean)} to "
                f"{figure(self.last[name])} nats per {self.view.unit} at {end}."
            )
        if "validation" in self.buckets:
            parts.append(
                f"The lowest validation loss is {figure(min(b.mean for b in self.buckets['validation']))}."
            )
        return " ".join(parts) or "No reports yet."

    def readout(self) -> str:
        """What the script of the page shows at the pointer: position and words of every point."""
        found = {
            name: [
                [self.across(b.x), self.down(b.mean), self.view.spell(b.x), figure(b.mean)] for b in buckets
            ]
            for name, buckets in self.buckets.items()
        }
        return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


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
        height = wanted[place][1]
        tops[place] = max(min(tops[place], end - height), least)
        end = tops[place]
    return tops


def small(points: Sequence[tuple[float, float]], words: str) -> str:
    """The shape of one figure over the run, without axes; ``words`` describes it for screen readers."""
    width, height = 160, 40
    head = f'<svg class="small" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
    head += f'aria-label="{markup(words)}">'
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return f"{head}</svg>"
    axis = Axis(points[0][0], points[-1][0])
    buckets = bucketed(points, axis, 80)
    low, high = min(b.mean for b in buckets), max(b.mean for b in buckets)
    span = (high - low) or 1.0
    line = "L".join(
        f"{axis.place(b.x) * width:.1f},{height - 2 - (b.mean - low) / span * (height - 6):.1f}"
        for b in buckets
    )
    return f'{head}<path class="area" d="M0,{height}L{line}L{width},{height}Z"/><path d="M{line}"/></svg>'
