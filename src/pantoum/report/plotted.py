"""Pictures by matplotlib, for those who have it: to be changed, put beside others and printed.

Everything else of pantoum draws by itself; this is for figures of papers and talks. Each function takes axes
to draw on, or makes them, and returns them.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pantoum.config import one_of
from pantoum.errors import PantoumError
from pantoum.report.comparison import TITLES, Comparison
from pantoum.report.loss import by_time, by_tokens
from pantoum.report.story import Story

VIEWS = {"time": by_time, "tokens": by_tokens}
COLOURS = {"training": "#48698c", "validation": "#a8401c"}
OTHERS = ("#3b7d4f", "#7a4d94", "#96701d", "#3a3a3a")
"""The colours of further runs on the same axes, one for both curves of a run."""


def _axes(ax: Any, width: float, height: float) -> Any:
    if ax is not None:
        return ax
    if find_spec("matplotlib") is None:
        raise PantoumError(
            "plot needs matplotlib, which is not installed here; run `pip install matplotlib`, or use the "
            "picture in a notebook or in report.html, which need nothing"
        )
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def plot_run(story: Story, by: str = "time", ax: Any = None) -> Any:
    """The curves of a run, over ``time`` (seconds) or ``tokens``, and what bz2 and xz reach. On axes that
    have curves already they get a colour and the name of the run."""
    view = VIEWS[one_of(by, "by", tuple(VIEWS))](story.history, story.references, story.unit)
    ax = _axes(ax, 6.4, 4.0)
    beside = len({line.get_color() for line in ax.get_lines()} & {COLOURS["training"], *OTHERS})
    for line in ax.get_lines():
        if line.get_label() in COLOURS:  # of the first run, whose name is the title
            line.set_label(f"{line.get_label()}, {ax.get_title()}")
    for name, points in view.lines.items():
        style = {"marker": "o", "markersize": 3.5} if name == "validation" else {"linewidth": 1.0}
        colour, label = COLOURS[name], name
        if beside:
            colour, label = OTHERS[(beside - 1) % len(OTHERS)], f"{name}, {story.name}"
        ax.plot(*zip(*points, strict=True), color=colour, label=label, **style)
    for reference in () if beside else view.references:
        ax.axhline(reference.loss, color="0.6", linestyle=":", linewidth=1.0)
        ax.annotate(reference.name, (1.0, reference.loss), xycoords=("axes fraction", "data"), color="0.4")
    if by == "tokens":
        ax.set_xscale("log")
    ax.set_xlabel("seconds" if by == "time" else view.x_title)
    ax.set_ylabel(f"nats per {view.unit}")
    ax.set_title(story.name)
    if view.lines:
        least, most = ax.get_ylim() if beside else (view.y.least, view.y.most)
        ax.set_ylim(min(least, view.y.least), max(most, view.y.most))
        ax.legend(frameon=False)
    return ax


def plot_comparison(comparison: Comparison, ax: Any = None) -> Any:
    """A row per group, best at the top: a dot per run, a bar at their mean."""
    by = comparison.by
    groups = [(group.name, known) for group in comparison.groups if (known := group.figures[by].known)]
    ax = _axes(ax, 6.4, 1.2 + 0.35 * max(1, len(groups)))
    for place, (_, values) in enumerate(groups):
        ax.plot(values, [place] * len(values), "o", color=COLOURS["training"], alpha=0.6)
        if len(values) > 1:
            ax.plot([sum(values) / len(values)], [place], "|", color=COLOURS["validation"], markersize=16)
    ax.set_yticks(range(len(groups)), [name for name, _ in groups])
    ax.invert_yaxis()
    ax.set_xlabel(f"{TITLES[by]} (lower is better)")
    return ax
