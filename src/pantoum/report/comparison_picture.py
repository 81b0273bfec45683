"""A comparison as SVG: a row per group on one axis, a dot per run, a bar at their mean.

So a reader sees whether two settings differ by more than their seeds do. A pure function: the same
comparison, the same bytes.
"""

from __future__ import annotations

from pantoum.report.axes import loss_axis
from pantoum.report.comparison import Comparison, Group
from pantoum.report.escape import markup
from pantoum.report.wording import figure

__all__ = ["TITLES", "named", "picture"]

TITLES = {"bits_per_byte": "bits per byte", "best_valid": "validation loss, nats per token"}
WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 640, 220, 24, 12, 26, 44
LONGEST = 30
"""Characters of a name that there is room for."""
MOST = 40
"""Groups that are drawn, the best first."""


def named(group: Group) -> str:
    """A group by what is particular to it: the settings in which it differs, or the name of its runs."""
    settings = ", ".join(
        f"{name.replace('_', '-')} {'none' if value is None else value}"
        for name, value in group.differs.items()
    )
    more = f" +{len(group.runs) - 1}" if len(group.runs) > 1 else ""
    return settings or group.runs[0] + more


def picture(found: Comparison) -> str:
    """The picture as an ``<svg>``; empty if no run has the figure."""
    groups = [group for group in found.groups if group.figures[found.by].known][:MOST]
    if not groups:
        return ""
    axis = loss_axis([value for group in groups for value in group.figures[found.by].known])
    floor = TOP + ROW * len(groups)

    def across(value: float) -> float:
        return round(LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT), 1)

    body = []
    for value, label in axis.ticks:
        x = across(value)
        body.append(
            f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{floor}" stroke="#e2ddd3"/>'
            f'<text x="{x}" y="{floor + 16}" text-anchor="middle">{label}</text>'
        )
    for number, group in enumerate(groups):
        y = TOP + ROW * number + ROW // 2
        name, values = named(group), group.figures[found.by].known
        shown = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        body.append(
            f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{markup(shown)}'
            f"<title>{markup(name)}</title></text>"
        )
        body += [
            f'<circle cx="{across(value)}" cy="{y}" r="4.5" fill="#48698c" fill-opacity=".55">'
            f"<title>{figure(value, 4)}</title></circle>"
            for value in values
        ]
        if len(values) > 1:
            x = across(sum(values) / len(values))
            body.append(
                f'<line x1="{x}" x2="{x}" y1="{y - 9}" y2="{y + 9}" stroke="#a8401c" stroke-width="2.5"/>'
            )
    title = f"{TITLES.get(found.by, found.by)}, lower is better; a dot per run, a bar at the mean"
    body.append(f'<text x="{LEFT}" y="{floor + 34}">{title}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {floor + BOTTOM}" role="img" '
        f'aria-label="{title}" style="display:block;max-width:{WIDTH}px;background:#fdfcf9;'
        'font:12.5px system-ui,sans-serif" fill="#201d1a">' + "".join(body) + "</svg>"
    )
