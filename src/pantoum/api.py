"""The functions that people import: ``import pantoum``, then ``pantoum.train``, ``pantoum.prepare``, ...

Each is a few lines over the layers below, with the options of the command line as keywords. Each imports what
it needs when it is called: a program that only uses a model never loads the code that trains.

    train(texts) -> Run          prepare(texts, out) -> Prepared       doctor() -> Machine
    compare(runs) -> Comparison  info(path) -> Info                    plan(texts) -> Plan
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pantoum import extensions
from pantoum.config import (
    AUTO,
    TextSettings,
    TrainSettings,
    declared,
    function,
    path,
    truth,
    whole,
)
from pantoum.config import path as checked
from pantoum.config.calls import public, taking
from pantoum.config.rules import Auto
from pantoum.errors import PantoumError, SettingError
from pantoum.finished_run import Run
from pantoum.texts import Texts, counting, listed, named, say

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pantoum.about.file import Info
    from pantoum.about.machine import Machine
    from pantoum.about.plan import Plan
    from pantoum.config.keywords import Preparing, Training
    from pantoum.data.given import GivenText
    from pantoum.data.prepare import Prepared
    from pantoum.ranks.interface import Ranks
    from pantoum.report.comparison import Comparison
    from pantoum.report.record import Report
    from pantoum.training.assembly import TrainingEngine
    from pantoum.training.result import RunResult
    from pantoum.training.run_session import LauncherJob

__all__ = [
    "Run",
    "compare",
    "doctor",
    "export",
    "info",
    "plan",
    "prepare",
    "train",
    "train_typed",
]


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
    ``on_report`` is called with every ``Report``. ``threads``: of this process while it trains (default:
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
    from pantoum.ranks.opening import open_ranks

    with open_ranks(_started_by_torchrun()) as ranks:

        def on_rank_0() -> RunResult:
            from pantoum.progress import told
            from pantoum.training import run_session
            from pantoum.training.begin import TrainingCommand
            from pantoum.training.run.budget import Clock

            chosen = TrainSettings(**settings)
            if text is not None:  # the run has the only copy of it
                chosen = replace(chosen, keep_data=True)
            engine = _engine(chosen.device, ranks)
            with (
                named(texts, text, chosen.documents) as names,
                told(chosen, names, progress, on_report) as tell,
            ):
                command = TrainingCommand(chosen, names, tuple(typed[0]), Clock(typed[1]), ranks, engine)
                return run_session.train(command, tell, _job())

        if ranks.count == 1:
            return Run(on_rank_0())
        from pantoum.training.together import facts, serve, train_on_all

        device = settings.get("device")
        known = facts(listed(texts), settings, _engine_name(device, ranks))
        if ranks.rank:
            return Run(serve(ranks, known, lambda: _engine(device, ranks)))
        return Run(train_on_all(ranks, known, on_rank_0))


def _started_by_torchrun() -> Callable[[float], Ranks] | None:
    """What makes the ranks that ``torchrun`` has started; ``None`` without it."""
    from pantoum.config.launcher import torchrun_count

    if torchrun_count() == 1:
        return None
    opener: Callable[[float], Ranks] = extensions.find("engines", "torchrun").GlooRanks
    return opener


def _engine(device: str | None, ranks: Ranks) -> TrainingEngine | None:
    """What trains in place of the core. PyTorch is imported only if a device is asked for."""
    from importlib.util import find_spec

    from pantoum.config.launcher import torchrun_count

    if device is None or (device == "auto" and find_spec("torch") is None):
        return None
    if ranks.count > 1 and torchrun_count() == 1:
        raise SettingError(
            "device",
            device,
            "cannot be shared by MPI ranks, which train with the core",
            "leave it out, or start the ranks with torchrun",
        )
    found: TrainingEngine | None = extensions.find("engines", "torch")(device)
    return found


def _engine_name(device: str | None, ranks: Ranks) -> str:
    """What trains on this rank, for the comparison of all ranks; a mistake is left to rank 0."""
    devices = declared(TrainSettings)["device"].choices
    try:
        found = _engine(device, ranks) if device in devices else None
    except PantoumError as problem:
        return str(problem)
    return "core" if found is None else found.name


def _job() -> LauncherJob | None:
    """The job of ``torchrun``, if it starts processes again."""
    from importlib.util import find_spec

    from pantoum.config.launcher import under_torchrun

    if not under_torchrun() or find_spec("torch") is None:
        return None
    job: LauncherJob | None = extensions.find("engines", "torchrun").torchrun_job()
    return job


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
    tokens (default: one per core, as far as the text is long enough); the result is the same."""
    from pantoum.data.prepare import prepare as prepare_texts

    chosen = TextSettings(**dict[str, Any](settings))
    count = (
        None if isinstance(processes, str) and processes == AUTO else whole(processes, "processes", most=256)
    )
    with counting("reading", truth(progress, "progress")) as report:
        prepared = prepare_texts(
            listed(texts),
            out=path(out, "out"),
            report=report,
            processes=count,
            **vars(chosen),
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
    writes), or, of its counted n-grams alone, ``arpa``. ``text``: what int8 costs is measured on it."""
    from pantoum.inference import exporting

    texts = listed(text, "text")
    with counting("scoring", truth(progress, "progress") and bool(texts)) as count:
        found = exporting.export(path(model, "model"), to, path(out, "out"), texts, count)
    say(found.pop("notes", ()))
    return found


@public
def info(path: str | os.PathLike[str], *, verify: bool = False) -> Info:
    """What a file or folder of pantoum is; ``verify`` loads it as well, with the errors of loading."""
    from pantoum.about.file import inspect

    return inspect(Path(checked(path, "path")), verify=truth(verify, "verify"))


@public
def doctor(*, tell: Callable[[str], None] | None = None) -> Machine:
    """What this machine gives; measures for a few seconds, and ``tell`` hears what."""
    from pantoum.about.machine import examine

    return examine(tell=function(tell, "tell"))


@public
def compare(runs: Sequence[str | os.PathLike[str]]) -> Comparison:
    """Several runs in one comparison; runs that differ only in their seed are one group."""
    from pantoum.report import comparison

    return comparison.compare([Path(run) for run in listed(runs, "runs")])
