"""Who hears of a run while it trains: the view on stderr, and a function of the caller."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pantoum.config import TrainSettings, function, truth
from pantoum.errors import PantoumError
from pantoum.report.terminal import Progress, in_notebook, watched

if TYPE_CHECKING:
    from pantoum.report.record import Report

__all__ = ["told"]


@contextlib.contextmanager
def told(
    settings: TrainSettings,
    texts: list[str],
    progress: bool | None,
    on_report: Callable[[Report], None] | None,
) -> Iterator[Callable[[Report], None]]:
    """What gets the reports of a run: the view on stderr, and the function of the caller."""
    function(on_report, "on_report")
    seen = watched(Progress().stream) or in_notebook()
    show = seen if progress is None else truth(progress, "progress")
    with contextlib.ExitStack() as stack:
        view = stack.enter_context(_view(settings, texts)) if show else None

        def report(record: Report) -> None:
            if view is not None:
                view(record)
            if on_report is not None:
                on_report(record)

        yield report


@contextlib.contextmanager
def _view(settings: TrainSettings, texts: list[str]) -> Iterator[Callable[[Report], None]]:
    """The run as it trains: the live view on a terminal that can show it, else progress in lines."""
    from pantoum.report import run_files
    from pantoum.report.story import Story
    from pantoum.training.run import run_folder

    def begun() -> Story:
        """The run, which has just begun, so it is the newest of its text; a wrong one would cost nothing."""
        with contextlib.suppress(PantoumError):
            return run_files.read(run_folder.find(settings, texts).path, validation=False)
        return Story("")

    # rich is imported where a terminal is there to be painted
    if not watched(sys.stderr) or not _can_be_live():
        with Progress() as lines:

            def tell(record: Report) -> None:
                lines.unit = lines.unit or begun().unit
                lines(record)

            yield tell
        return
    from pantoum.report import live

    with live.LiveView("") as view:

        def report(record: Report) -> None:
            if not view.name:
                story = begun()
                view.name, view.about, view.unit = story.name, story.about, story.unit
            view(record)

        yield report


def _can_be_live() -> bool:
    from rich.console import Console

    from pantoum.report import live

    return live.possible(Console(file=sys.stderr))
