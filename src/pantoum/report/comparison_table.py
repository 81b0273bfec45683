"""A comparison as a table: for a terminal with a picture of the spread, elsewhere as plain columns.

The picture is a strip: one axis for all groups, a dot for each run, a bar at their mean. So a reader sees
whether two settings differ by more than their seeds do. A terminal that is too narrow for everything keeps
the figures: the settings in which the groups differ move below the table, then the picture and the least
important figures are left out, then long names are shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import StringIO
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pantoum.report.comparison import Comparison, Group, spelled
from pantoum.report.escape import markup, tag, visible
from pantoum.report.terminal import watched
from pantoum.report.wording import HELD_OUT, MISSING, clock, count, figure, finite, share

STRIP = 24
LEAST_NAME = 8
PICTURE = "picture"


def _in_four_digits(value: object) -> str:
    """A perplexity, which is far larger than a loss."""
    number = finite(value)
    return MISSING if number is None else f"{number:,.4g}" if number < 1e4 else count(number)


COLUMNS: dict[str, tuple[str, Callable[[object], str]]] = {
    "bits_per_byte": ("bits/byte", figure),
    "perplexity": ("perplexity/word", _in_four_digits),
    "nats_per_character": ("nats/char", figure),
    "best_valid": ("validation", figure),
    "accuracy": ("accuracy", share),
    "steps": ("updates", count),
    "tokens": ("tokens", count),
    "seconds": ("time", clock),
    "tokens_per_second": ("tokens/s", count),
}
"""The head of each figure, and how it is written."""
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
"""What a narrow terminal goes without, first things first."""
JUDGED = f"losses: {HELD_OUT}; validation: while training"
SPREADS = ("bits_per_byte", "perplexity", "nats_per_character", "best_valid")


def show(comparison: Comparison, stream: TextIO) -> None:
    """Write the table to this stream."""
    if not watched(stream):
        stream.write(plain(comparison) + "\n")
        return
    console = Console(file=stream, highlight=False)
    table, below = _fitting(comparison, console)
    console.print(table)
    for line in [*below, JUDGED]:
        console.print(Text(line))
    for note in comparison.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)


def plain(comparison: Comparison) -> str:
    """The table as plain columns, and the notes below it."""
    text = StringIO()
    table = _table(_cells(comparison, list(COLUMNS)), gap=2)
    console = Console(file=text, color_system=None, width=_width(table) + 1)
    console.print(table)
    rows = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([*rows, JUDGED, *(f"note: {note}" for note in comparison.notes)])


def html(comparison: Comparison) -> str:
    """The same as a table for a notebook."""
    rows = [
        "".join(tag("td" if number else "th", markup(cell)) for cell in row)
        for number, row in enumerate(_cells(comparison, list(COLUMNS)))
    ]
    below = [JUDGED, *(f"note: {note}" for note in comparison.notes)]
    notes = "".join(tag("div", markup(line)) for line in below)
    return tag("table", "".join(tag("tr", row) for row in rows)) + notes


def _table(rows: Sequence[Sequence[str]], gap: int, best: bool = False) -> Table:
    """Words aligned left and figures aligned right."""
    heads = {head for head, _ in COLUMNS.values()}
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
    for head in rows[0]:
        table.add_column(Text(head), justify="right" if head in heads else "left", no_wrap=True)
    for number, row in enumerate(rows[1:]):
        table.add_row(*map(Text, row), style="bold" if best and not number else "")
    return table


def _width(table: Table) -> int:
    console = Console(width=100_000)
    return table.__rich_measure__(console, console.options).maximum


def _fitting(comparison: Comparison, console: Console) -> tuple[Table, list[str]]:
    """The table with as many columns as the terminal has room for, and the lines below it."""
    columns, gap, below = list(COLUMNS), 3 if console.width >= 100 else 2, list[str]()
    several = len(comparison.groups) > 1
    if several and (console.encoding or "").lower().startswith("utf"):
        columns.append(PICTURE)
    dropped = [name for name in DROPPED if name != comparison.by]
    while True:
        rows = _cells(comparison, columns, settings=not below)
        over = _width(_table(rows, gap)) - console.width
        if over <= 0:
            break
        if not below and any(group.differs for group in comparison.groups):
            below = [_settings(group) for group in comparison.groups]
        elif dropped:
            columns = [column for column in columns if column != dropped[0]]
            del dropped[0]
        else:
            longest = max(cell_len(row[0]) for row in rows)
            rows = [[_shortened(row[0], max(LEAST_NAME, longest - over)), *row[1:]] for row in rows]
            break
    return _table(rows, gap, best=several), below


def _shortened(name: str, width: int) -> str:
    """A name with its middle left out."""
    if cell_len(name) <= width:
        return name
    return f"{name[: (width - 1) // 2]}…{name[len(name) - width // 2 :]}"


def _settings(group: Group) -> str:
    """The settings in which a group differs; one that it leaves open or out is not named."""
    said = {name: value for name, value in group.differs.items() if value not in (None, "auto")}
    words = ", ".join(f"{name} {value}" for name, value in spelled(said).items())
    return visible(f"{group.title}: {words or 'the defaults'}")


def strip(values: Sequence[float], least: float, most: float, width: int = STRIP) -> str:
    """Values as dots on one axis, their mean as a bar; ``least`` and ``most`` are the axis's ends."""
    cells = ["·"] * width

    def at(value: float) -> int:
        return round((value - least) / (most - least) * (width - 1)) if most > least else width // 2

    for value in values:
        cells[at(value)] = "o"
    if len(values) > 1:
        cells[at(sum(values) / len(values))] = "│"
    return "".join(cells)


def _cells(comparison: Comparison, columns: Sequence[str], *, settings: bool = True) -> list[list[str]]:
    """The head and one row per group, without the figures that no group has."""
    groups, by = comparison.groups, comparison.by
    used = [n for n in COLUMNS if n in columns and any(group.figures[n].known for group in groups)]
    names = list(spelled(groups[0].differs)) if groups and settings else []
    rows = [["run", "seeds", *names, *(COLUMNS[name][0] for name in used)]]
    for group in groups:
        seeds = ",".join(MISSING if seed is None else str(seed) for seed in group.seeds)
        shown = [visible(value) for value in spelled(group.differs).values()] if settings else []
        rows.append([visible(group.title), seeds, *shown, *(_figure(group, name) for name in used)])
    values = [value for group in groups for value in group.figures[by].known]
    if PICTURE in columns and values:
        least, most = min(values), max(values)
        rows[0].append(f"{figure(least)}{figure(most):>{STRIP - len(figure(least))}}")
        for row, group in zip(rows[1:], groups, strict=True):
            row.append(strip(known, least, most) if (known := group.figures[by].known) else "")
    return rows


def _figure(group: Group, name: str) -> str:
    spell, value = COLUMNS[name][1], group.figures[name]
    if name in SPREADS and value.spread is not None:
        return f"{spell(value.mean)} ± {spell(value.spread)}"
    return spell(value.mean)
