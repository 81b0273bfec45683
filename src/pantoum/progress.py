"""Who hears of a run while it trains: the view on stderr, and a function of the caller."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pantoum.config import TrainSettings, function, truth
from pantoum.errors import PantoumError
from pantoum.report.terminal import Progress, in_notebook, watched

if TYPE_CHECKING:
    from pantoum.report.record import Report


@contextlib.contextmanager
def told(
    settings: TrainSettings,
    texts: list[str],
    progress: bool | None,
    on_report: Callable[[Report], None] | None,
) -> Iterator[Callable[[Report], None]]:
    """What gets the reports of a run: the view on stderr, and the function of the caller."""
    function(on_report, "on_report")
    show = watched(sys.stderr) or in_notebook() if progress is None else truth(progress, "progress")
    with _view(settings, texts) if show else contextlib.nullcontext() as view:

        def report(record: Report) -> None:
            for tell in (view, on_report):
                if tell is not None:
                    tell(record)

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

    if watched(sys.stderr):  # rich is imported where a terminal is there to be painted
        from rich.console import Console

        from pantoum.report import live

        console = Console(file=sys.stderr)
        if live.possible(console):
            with live.LiveView(live.Scene(""), console=console) as view:

                def draw(record: Report) -> None:
                    if not view.scene.name:
                        story = begun()
                        view.scene = replace(view.scene, name=story.name, about=story.about, unit=story.unit)
                    view(record)

                yield draw
            return
    lines = Progress()

    def write(record: Report) -> None:
        lines.unit = lines.unit or begun().unit
        lines(record)

    yield write
