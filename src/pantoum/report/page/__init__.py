"""``report.html``: one run as one page.

A pure function of a ``Story`` (records, settings and validation figures of a run): the same story, the same
bytes. The page is one file. It loads nothing, and a content security policy enforces that; the only script
allowed is its own, by hash, and the page is complete without it. From the top: what was trained and how
well, beside ``xz`` and ``bz2``; the curves; samples; the beginning of the validation text coloured by
surprisal; settings, command, machine; notes. Like a pantoum, it ends with the line it began with.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from pantoum.report import curves, surprisal
from pantoum.report.page import headline, sections
from pantoum.report.story import Story

__all__ = ["Story", "render"]


@cache
def _file(name: str) -> str:
    return (resources.files("pantoum.report.page") / name).read_text(encoding="utf-8")


def style() -> str:
    """The style sheet of the page."""
    return curves.STYLE + surprisal.STYLE + "\n" + _file("style.css")


def render(story: Story) -> str:
    """The page as one self-contained HTML document."""
    script = _file("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    line = headline.first_line(story)
    body = "\n".join(
        part
        for part in (
            headline.section(story),
            sections.curves(story),
            sections.samples(story),
            sections.passage(story),
            sections.settings(story),
            sections.notes(story),
        )
        if part
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="pantoum">
<title>{line}</title>
<link rel="icon" href="data:,">
<style>
{style()}</style>
</head>
<body>
<main>
{body}
</main>
<footer>
<p class="line">{line}</p>
</footer>
<script>{script}</script>
</body>
</html>
"""
