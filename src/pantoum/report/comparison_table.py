"""A comparison as a table: for a terminal with a picture of the spread, elsewhere as plain columns.

The picture is a strip: one axis for all groups, a dot for each run, a bar at their mean. So a reader sees
whether two settings differ by more than their seeds do. A terminal that is too narrow for everything keeps
the figures: the settings in which the groups differ move below the table, then the picture and the least
important figures are left out, then long names are shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from pantoum.report.comparison import Comparison, Figure, Group
from pantoum.report.escape import visible
from pantoum.report.terminal import watched
from pantoum.report.wording import MISSING, clock, count, figure, finite, share

__all__ = ["html", "plain", "show", "strip"]

STRIP = 24
LEAST_NAME = 8


def _in_four_digits(value: object) -> str:
    """A perplexity, which is far larger than a loss."""
    number = finite(value)
    return MISSING if number is None else f"{number:,.4g}" if number < 1e4 else count(number)


COLUMNS: tuple[tuple[str, str, Callable[[object], str]], ...] = (
    ("bits_per_byte", "bits/byte", figure),
    ("perplexity", "perplexity/word", _in_four_digits),
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
SPREADS = ("bits_per_byte", "perplexity", "nats_per_character", "best_valid")


def show(found: Comparison, stream: TextIO) -> None:
    """Write the table to this stream."""
    console = Console(file=stream, highlight=False)
    if not watched(stream):
        for row in _plain(_rows(found, [name for name, _, _ in COLUMNS])):
            stream.write(row + "\n")
    else:
        rows, below = _fitting(found, console)
        for number, row in enumerate(_plain(rows, gap=_gap(console))):
            style = "dim" if number == 0 else "bold" if number == 1 and len(found.groups) > 1 else ""
            console.print(Text(row, style), no_wrap=True, crop=True)
        for line in below:
            console.print(Text(line))
    for note in found.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)


def plain(found: Comparison) -> str:
    """The table as plain columns, and the notes below it."""
    rows = _plain(_rows(found, [name for name, _, _ in COLUMNS]))
    return "\n".join([*rows, *(f"note: {note}" for note in found.notes)])


def html(found: Comparison) -> str:
    """The same as a table for a notebook."""
    head, *rows = _rows(found, [name for name, _, _ in COLUMNS])
    lines = [_line(head, "th"), *(_line(row, "td") for row in rows)]
    notes = "".join(f"<div>note: {escape(note)}</div>" for note in found.notes)
    return f"<table>{''.join(lines)}</table>{notes}"


def _line(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _plain(rows: Sequence[Sequence[str]], gap: int = 2) -> list[str]:
    """Rows as lines of columns, words aligned left and figures aligned right."""
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


def _gap(console: Console) -> int:
    """Spaces between columns."""
    return 3 if console.width >= 100 else 2


def _fitting(found: Comparison, console: Console) -> tuple[list[list[str]], list[str]]:
    """The rows with as many columns as the terminal has room for, and the lines below the table."""
    columns = [name for name, _, _ in COLUMNS]
    if len(found.groups) > 1 and (console.encoding or "").lower().startswith("utf"):
        columns.append(PICTURE)
    rows, below = _rows(found, columns), list[str]()
    dropped = iter(name for name in DROPPED if name != found.by)
    while (wide := max(map(cell_len, _plain(rows, gap=_gap(console)))) - console.width) > 0:
        if not below and found.groups and found.groups[0].differs:
            below = _settings_below(found)
        elif (name := next(dropped, None)) is not None:
            columns = [column for column in columns if column != name]
        else:
            return [
                [_shortened(row[0], max(LEAST_NAME, _longest(rows) - wide)), *row[1:]] for row in rows
            ], below
        rows = _rows(found, columns, settings=not below)
    return rows, below


def _longest(rows: Sequence[Sequence[str]]) -> int:
    return max(cell_len(row[0]) for row in rows)


def _shortened(name: str, width: int) -> str:
    """A name with its middle left out."""
    if cell_len(name) <= width:
        return name
    return f"{name[: (width - 1) // 2]}…{name[len(name) - (width - 1 - (width - 1) // 2) :]}"


def _settings_below(found: Comparison) -> list[str]:
    """The settings in which the groups differ, one line per group; a setting that a group leaves out is not
    named there."""
    lines = []
    for group in found.groups:
        settings = ", ".join(
            f"{name.replace('_', '-')} {_setting(value)}"
            for name, value in group.differs.items()
            if value not in (None, "auto")
        )
        lines.append(f"{_runs(group)}: {settings or 'the defaults'}")
    return lines


def strip(values: Sequence[float], mean: float, least: float, most: float, width: int = STRIP) -> str:
    """Values as dots on one axis, their mean as a bar; ``least`` and ``most`` are the axis's ends."""
    cells = ["·"] * width

    def at(value: float) -> int:
        return round((value - least) / (most - least) * (width - 1)) if most > least else width // 2

    for value in values:
        cells[at(value)] = "o"
    cells[at(mean)] = "│" if len(values) > 1 else "o"
    return "".join(cells)


def _rows(found: Comparison, columns: Sequence[str], *, settings: bool = True) -> list[list[str]]:
    """The head and one row per group, without the figures that no group has."""
    used = [
        column
        for column in COLUMNS
        if column[0] in columns and any(group.figures[column[0]].known for group in found.groups)
    ]
    names = list(found.groups[0].differs) if found.groups and settings else []
    rows = [["run", "seeds", *(name.replace("_", "-") for name in names), *(head for _, head, _ in used)]]
    rows += [
        [
            _runs(group),
            _seeds(group),
            *(_setting(group.differs[name]) for name in names),
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


def _setting(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else visible(str(value))


def _figure(name: str, spell: Callable[[object], str], value: Figure) -> str:
    if name in SPREADS and value.spread is not None:
        return f"{spell(value.mean)} ± {spell(value.spread)}"
    return spell(value.mean)
