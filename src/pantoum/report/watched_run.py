"""``pantoum watch``: a running or finished run as it looks from another terminal.

On a terminal the live view, elsewhere a line for every record; a run that has ended is shown once, as it
ended. The run itself is only read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

from rich.console import Console

from pantoum.config.plain import Plain
from pantoum.errors import RunError
from pantoum.report.escape import visible
from pantoum.report.live import LiveView, possible
from pantoum.report.record import Report
from pantoum.report.run_files import follow, read
from pantoum.report.run_history import RunHistory
from pantoum.report.terminal import line
from pantoum.report.wording import finite

__all__ = ["latest", "watch"]

GONE = "no longer running"


def latest(folder: Path | str) -> dict[str, Plain]:
    """The newest record of a run."""
    story = read(folder, validation=False)
    if not story.records:
        raise RunError(f"run is {str(folder)!r}: it has no record yet; wait for the first one")
    return dict(story.records[-1])


def watch(folder: Path | str, stream: TextIO, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """Show the run on this stream until it ends; the word for how it ended."""
    story = read(folder, validation=False)
    console = Console(file=stream, highlight=False)
    histories = follow(folder, sleep=sleep)
    history, over = next(histories)
    if not possible(console):
        return _lines(history, over, histories, stream, story.unit)
    view = LiveView(story.name, about=story.about, unit=story.unit, console=console)
    view.take(history)
    if over:
        view.state = history.ended or GONE
        view.print_last()
        return view.state
    with view:
        for history, over in histories:
            view.take(history)
            if over and history.ended is None:
                view.state = GONE
    return history.ended or GONE


def least(best: float | None, now: float | None) -> float | None:
    """The lesser of two figures that may be missing."""
    known = [value for value in (best, now) if value is not None]
    return min(known) if known else None


def _words(record: Mapping[str, Plain], best: float | None, unit: str) -> list[str]:
    """A record as lines; none where it is not one of ours."""
    try:
        report = Report.from_dict(record)
        return [line(report, best, unit), *(f"         note: {visible(str(note))}" for note in report.notes)]
    except (TypeError, ValueError):
        return []


def _lines(
    history: RunHistory, over: bool, histories: Iterator[tuple[RunHistory, bool]], stream: TextIO, unit: str
) -> str:
    """The same without a screen: one line per record with its notes below."""
    told, best = 0, None
    while True:
        for record in history.records[min(told, len(history)) :]:
            best = least(best, finite(record.get("valid")))
            for text in _words(record, best, unit):
                stream.write(text + "\n")
        told = len(history)
        stream.flush()
        if over:
            stream.write(f"{history.ended or GONE}\n")
            return history.ended or GONE
        history, over = next(histories)
