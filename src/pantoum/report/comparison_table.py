"""A comparison as a table: for a terminal with a picture of the spread, elsewhere as plain columns.

The picture is a strip: one axis for all groups, a dot for each run, a bar at their mean. So a reader sees
whether two settings differ by more than their seeds do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from pantoum.report.compare import Comparison, Figure, Group
from pantoum.report.escape import visible
from pantoum.report.wording import MISSING, clock, count, figure, share

__all__ = ["show", "strip"]

STRIP = 24
COLUMNS: tuple[tuple[str, str, Callable[[object], str]], ...] = (
    ("bits_per_byte", "bits/byte", figure),
    ("nats_per_character", "nats/char", figure),
    ("best_valid", "validation", figure),
    ("accuracy", "accuracy", share),
    ("steps", "updates", count),
    ("tokens", "tokens", count),
    ("seconds", "time", clock),
    ("tokens_per_second", "tokens/s", count),
)
FIGURE_HEADS = frozenset(head for _, head, _ in COLUMNS)
PICTURE = "picture"
DROPPED = (
    "steps",
    "nats_per_character",
    "tokens",
    "accuracy",
    PICTURE,
    "tokens_per_second",
    "seconds",
    "best_valid",
)
SPREADS = ("bits_per_byte", "nats_per_character", "best_valid")


def show(found: Comparison, stream: TextIO) -> None:
    """Write the table to this stream."""
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:
        for row in _plain(_rows(found, [name for name, _, _ in COLUMNS])):
            stream.write(row + "\n")
    else:
        for number, row in enumerate(_plain(_fitting(found, console), gap=3)):
            style = "dim" if number == 0 else "bold" if number == 1 and len(found.groups) > 1 else ""
            console.print(Text(row, style), no_wrap=True, crop=True)
    for note in found.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)


def _plain(rows: Sequence[Sequence[str]], gap: int = 2) -> list[str]:
    """Rows as lines of columns, words to the left and figures to the right."""
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - cell_len(cell))
            right = rows[0][number] in FIGURE_HEADS
            cells.append(space + cell if right else cell + space)
        lines.append((" " * gap).join(cells).rstrip())
    return lines


def _fitting(found: Comparison, console: Console) -> list[list[str]]:
    """The rows with as many columns as the terminal has room for; the least needed go first."""
    columns = [name for name, _, _ in COLUMNS]
    if len(found.groups) > 1 and (console.encoding or "").lower().startswith("utf"):
        columns.append(PICTURE)
    for name in (None, *(name for name in DROPPED if name != found.by)):
        columns = [column for column in columns if column != name]
        rows = _rows(found, columns)
        if max(map(cell_len, _plain(rows, gap=3))) <= console.width:
            break
    return rows


def strip(values: Sequence[float], mean: float, least: float, most: float, width: int = STRIP) -> str:
    """Values as dots on one axis, their mean as a bar; ``least`` and ``most`` are the axis's ends."""
    cells = ["·"] * width

    def at(value: float) -> int:
        return round((value - least) / (most - least) * (width - 1)) if most > least else width // 2

    for value in values:
        cells[at(value)] = "o"
    cells[at(mean)] = "│" if len(values) > 1 else "o"
    return "".join(cells)


def _rows(found: Comparison, columns: Sequence[str]) -> list[list[str]]:
    """The head and a row a group; without the figures that no group has."""
    used = [
        column
        for column in COLUMNS
        if column[0] in columns and any(group.figures[column[0]].known for group in found.groups)
    ]
    settings = list(found.groups[0].differs) if found.groups else []
    rows = [["run", "seeds", *(name.replace("_", "-") for name in settings), *(head for _, head, _ in used)]]
    rows += [
        [
            _runs(group),
            _seeds(group),
            *(_setting(value) for value in group.differs.values()),
            *(_figure(name, spell, group.figures[name]) for name, _, spell in used),
        ]
        for group in found.groups
    ]
    values = [value for group in found.groups for value in group.figures[found.by].known]
    if PICTURE in columns and values:
        least, most = min(values), max(values)
        rows[0].append(f"{figure(least)}{figure(most):>{STRIP - len(figure(least))}}")
        for row, group in zip(rows[1:], found.groups, strict=True):
            known = group.figures[found.by].known
            row.append(strip(known, sum(known) / len(known), least, most) if known else "")
    return rows


def _runs(group: Group) -> str:
    first = visible(group.runs[0])
    return first if len(group.runs) == 1 else f"{first} +{len(group.runs) - 1}"


def _seeds(group: Group) -> str:
    return ",".join(MISSING if seed is None else str(seed) for seed in group.seeds)


def _setting(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else visible(str(value))


def _figure(name: str, spell: Callable[[object], str], value: Figure) -> str:
    if name in SPREADS and value.spread is not None:
        return f"{spell(value.mean)} ± {spell(value.spread)}"
    return spell(value.mean)
