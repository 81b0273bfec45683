"""The ornament of the page: lines 2 and 4 of each stanza return as lines 1 and 3 of the next.

That is the form of a pantoum, and what the rows of a batch do. Each thread begins as the lower line of a
pair, runs through its stanza, rises into the next one and ends there.
"""

from __future__ import annotations

from functools import cache

__all__ = ["band"]

STANZAS = 9
LENGTH, GAP = 84, 44
SPACING, TOP = 9, 5


@cache
def band() -> str:
    """The ornament as SVG, hidden from screen readers."""
    width = STANZAS * (LENGTH + GAP) - GAP
    threads = []
    for stanza in range(-1, STANZAS):
        for line in (1, 3):
            x, y = stanza * (LENGTH + GAP), TOP + line * SPACING
            up, there = y - SPACING, x + LENGTH + GAP
            bend = GAP / 2
            kind = ' class="first"' if line == 1 else ""
            threads.append(
                f'<path{kind} d="M{x},{y}h{LENGTH}C{x + LENGTH + bend:g},{y} {there - bend:g},{up} '
                f'{there},{up}h{LENGTH}"/>'
            )
    return (
        f'<svg class="motif" viewBox="0 0 {width} {2 * TOP + 3 * SPACING}" '
        f'preserveAspectRatio="xMidYMid slice" '
        f'aria-hidden="true">{"".join(threads)}</svg>'
    )
