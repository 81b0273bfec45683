"""A short table of figures as HTML: what a notebook shows of a model, a run or an evaluation."""

from __future__ import annotations

import html
from collections.abc import Iterable


def figures_html(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """A table with a title; titles, names and figures are plain text."""
    lines = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(figure)}</td></tr>"
        for name, figure in rows
    )
    return f"<table><caption>{html.escape(title)}</caption><tbody>{lines}</tbody></table>"
