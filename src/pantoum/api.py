"""The functions that people import: ``import pantoum``, then ``pantoum.train``, ``pantoum.prepare``, ...

Each is a few lines over the layers below, with the options of the command line as keywords. Each imports what
it needs when it is called: a program that only uses a model never loads the code that trains.

    train(texts) -> Run          prepare(texts, out) -> Prepared       doctor() -> Machine
    compare(runs) -> Comparison  info(path) -> Info                    plan(texts) -> Plan
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pantoum.config import AUTO, TextSettings, TrainSettings, function, path, truth, whole
from pantoum.config import path as checked
from pantoum.config.calls import public, taking
from pantoum.config.rules import Auto
from pantoum.errors import PantoumError
from pantoum.finished_run import Run
from pantoum.report.terminal import Progress, in_notebook, watched
from pantoum.texts import GivenText, Texts, counting, listed, named, say

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pantoum.about.file import Info
    from pantoum.about.machine import Machine
    from pantoum.about.plan import Plan
    from pantoum.config.keywords import Preparing, Training
    from pantoum.data.prepared_file import Prepared
    from pantoum.report.comparison import Comparison
    from pantoum.report.record import Report
    from pantoum.training.result import RunResult
    from pantoum.training.update.backend import TrainingEngine


@taking(TrainSettings)
def train(
    texts: Texts = (),
    *,
    text: GivenText | None = None,
    progress: bool | None = None,
    on_report: Callable[[Report], None] | None = None,
    threads: int | None = None,
    **settings: Unpack[Training],
) -> Run:
    """Train a model. The settings are the options of ``pantoum train``: ``minutes=5``, ``tokens="words"``,
    ...

    ``text``: the text itself in place of ``texts``, as a string, an open file, or strings one after the other
    (with ``documents`` each is one). ``progress``: show it on stderr (default: in a terminal or a notebook).
    ``on_report`` is called with every ``Report``. ``threads``: of this process, while it trains (default:
    ``PANTOUM_THREADS``, ``OMP_NUM_THREADS``, or one per core).
    """
    from pantoum.config.processors import MOST_THREADS
    from pantoum.kernels.threads import with_threads

    count = None if threads is None else whole(threads, "threads", most=MOST_THREADS)
    with with_threads(count):
        return train_typed(texts, dict(settings), text=text, progress=progress, on_report=on_report)


@public
def train_typed(
    texts: Texts,
    settings: dict[str, Any],
    typed: tuple[Sequence[str], float | None] = ((), None),
    *,
    text: GivenText | None = None,
    progress: bool | None = None,
    on_report: Callable[[Report], None] | None = None,
) -> Run:
    """The same for a command line: ``typed`` has its words and ``time.monotonic()`` when it began, from which
    ``minutes`` count."""
    from pantoum.training import run_session

    def session(chosen: TrainSettings, engine: TrainingEngine | None) -> RunResult:
        from pantoum.training.begin import TrainingCommand
        from pantoum.training.run.budget import Clock

        if text is not None:  # the run has the only copy of it
            chosen = replace(chosen, keep_data=True)
        with (
            named(texts, text, chosen.documents) as names,
            told(chosen, names, progress, on_report) as tell,
        ):
            command = TrainingCommand(chosen, names, tuple(typed[0]), Clock(typed[1]), engine)
            return run_session.train(command, tell)

    with run_session.group() as group:
        return Run(run_session.train_together(group, listed(texts), settings, session))


@taking(TrainSettings)
def plan(texts: Texts = (), *, text: GivenText | None = None, **settings: Unpack[Training]) -> Plan:
    """What ``train`` would choose with these settings, and why; nothing is trained."""
    from pantoum.about.plan import make_plan

    chosen = TrainSettings(**dict[str, Any](settings))
    with named(texts, text, chosen.documents) as names:
        return make_plan(chosen, names)


@taking(TextSettings)
def prepare(
    texts: Texts,
    out: str | os.PathLike[str],
    *,
    progress: bool = False,
    processes: int | Auto = "auto",
    **settings: Unpack[Preparing],
) -> Prepared:
    """Tokenise texts once, for many runs. ``processes``: how many split the text into words or byte-pair
    tokens (default: one per core if the text is long enough); the result does not depend on it."""
    from pantoum.data.prepare import prepare as prepare_texts

    chosen = TextSettings(**dict[str, Any](settings))
    count = (
        None if isinstance(processes, str) and processes == AUTO else whole(processes, "processes", most=256)
    )
    with counting("reading", truth(progress, "progress")) as report:
        prepared = prepare_texts(
            listed(texts), out=path(out, "out"), report=report, processes=count, **vars(chosen)
        )
    say(prepared.notes)
    return prepared


@public
def export(
    model: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    *,
    text: Texts = (),
    progress: bool = False,
) -> dict[str, Any]:
    """Write a model in another form: ``int8``, ``torch``, ``onnx``, ``hub`` (a folder), ``html`` (a page that
    writes), or ``arpa`` (the counted n-grams alone). ``text``: a text to measure the cost of int8 on."""
    from pantoum.inference import exporting

    texts = listed(text, "text")
    with counting("scoring", truth(progress, "progress") and bool(texts)) as count:
        found = exporting.export(path(model, "model"), to, path(out, "out"), texts, count)
    say(found.pop("notes", ()))
    return found


@public
def info(path: str | os.PathLike[str], *, verify: bool = False) -> Info:
    """What a file or folder of pantoum is; ``verify`` also loads it, and raises the errors of loading."""
    from pantoum.about.file import inspect

    return inspect(Path(checked(path, "path")), verify=truth(verify, "verify"))


@public
def doctor(*, tell: Callable[[str], None] | None = None) -> Machine:
    """What this machine offers. It measures for a few seconds, and tells ``tell`` what it measures."""
    from pantoum.about.machine import examine

    return examine(tell=function(tell, "tell"))


@public
def compare(runs: Sequence[str | os.PathLike[str]]) -> Comparison:
    """Several runs in one comparison; runs that differ only in their seed are one group."""
    from pantoum.report import comparison

    return comparison.compare([Path(run) for run in listed(runs, "runs")])


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
    from pantoum.report import story
    from pantoum.report.story import Story
    from pantoum.training.run import run_folder

    def begun() -> Story:
        """The run, which has just begun, so it is the newest of its text; a wrong one would cost nothing."""
        with contextlib.suppress(PantoumError):
            return story.read(run_folder.find(settings, texts).path, validation=False)
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
