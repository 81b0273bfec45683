"""One command of training, which is one session of a run: the folder and its lock, the run, the result.

``train`` makes a new run or takes up an old one, and hands it to the ``Trainer``. ``train_together`` calls it
with who trains. An engine takes the place of the core (``--device``). A *group* is the processes that a
launcher has started to train one model together: ``settings(asked)`` are those of a run of this group,
``engine(asked, instead)`` is what trains in all processes (``instead``: in place of the core in each), and
``run(known, train, instead)`` calls ``train`` in the first process, while the others serve it; what all must
have in common is ``known``, and the result is that of every process. Without either, one process trains with
the core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from pantoum import extensions, kernels
from pantoum.config import VERSION, TrainSettings
from pantoum.config.launcher import launched
from pantoum.errors import PantoumError, RunError, SettingError, StorageError
from pantoum.formats import checkpoint, durable
from pantoum.report.record import Report
from pantoum.training.begin import TrainingCommand, begin
from pantoum.training.reporting import Reporter
from pantoum.training.result import RunResult, of_finished, of_session
from pantoum.training.resume import resume
from pantoum.training.run.run_folder import create, find, leave_needed, run_named
from pantoum.training.run.run_state import RunState
from pantoum.training.run.signals import StopSignals, ending_at_once
from pantoum.training.trainer import Trainer
from pantoum.training.update.backend import TrainingEngine


def train(command: TrainingCommand, on_report: Callable[[Report], None] | None = None) -> RunResult:
    """Train as the command asks, and return what became of it. Of several processes that
    train together this is the first.

    A signal to stop is no error: the result's ``stopped`` names it, after a checkpoint. A second Ctrl-C
    raises ``KeyboardInterrupt``.
    """
    settings, texts, clock = command.settings, command.texts, command.clock
    settings, texts = run_named(settings, texts)
    asked = replace(command, settings=settings, texts=texts)
    folder = find(settings, texts) if settings.resume else create(settings, texts)
    with folder.locked() as folder:
        checkpoint.clean_temporary(folder.path)
        durable.clean_temporary(folder.data)
        try:
            with ending_at_once():
                run = resume(folder, asked) if settings.resume else begin(folder, asked)
        except BaseException:
            if not settings.resume:
                with suppress(RunError, StorageError):
                    folder.require()
                    durable.remove_tree(folder.path)  # it was made a moment ago, and nothing came of it
            raise
        if isinstance(run, RunState):
            return of_finished(folder, run)
        reporter = Reporter(folder, on_report)
        with StopSignals() as stop:
            trainer = Trainer(run, clock, reporter, stop, settings.stop_after)
            trainer.train()
        if run.state.finished:
            if not settings.keep_data:
                leave_needed(folder, settings)
            folder.ended()
        return of_session(run, clock.seconds, trainer.stopped, trainer.evaluation, reporter)


def engine(settings: TrainSettings) -> TrainingEngine | None:
    """What trains in place of the core, where these settings name a device."""
    if settings.device is None or (settings.device == "auto" and find_spec("torch") is None):
        return None
    for make in extensions.each("engines"):
        found: TrainingEngine | None = make(settings)
        if found is not None:
            return found
    if settings.device == "auto":
        return None
    rule = "is for an engine, and none that is installed trains on it"
    raise SettingError("device", settings.device, rule, "leave it out to train with the core")


@contextmanager
def group() -> Iterator[Any]:
    """The processes that a launcher has started with this one, while inside; ``None``: it is alone."""
    if not launched():
        yield None
        return
    with extensions.find("launchers", "ranks")() as found:
        yield found


def train_together(
    together: Any,
    texts: Sequence[str],
    settings: Mapping[str, Any],
    session: Callable[[TrainSettings, TrainingEngine | None], RunResult],
) -> RunResult:
    """``session`` with the settings and the engine of a group (``None``: of this process alone)."""

    if together is None:
        chosen = TrainSettings(**settings)
        return session(chosen, engine(chosen))

    def first() -> RunResult:
        chosen = together.settings(TrainSettings(**settings))
        return session(chosen, together.engine(chosen, engine(chosen)))

    known = _facts(texts, settings)
    result: RunResult = together.run(known, first, lambda: engine(TrainSettings(**settings)))
    return result


def _facts(texts: Sequence[str], settings: Mapping[str, Any]) -> dict[str, str]:
    """What all processes must have in common, by names that a person knows. A mistake is left to the first
    process."""
    try:
        found = engine(TrainSettings(**settings))
        name = "core" if found is None else found.name
    except PantoumError as problem:
        name = str(problem)
    return {
        "pantoum": VERSION,
        "arithmetic": "numpy" if kernels.without_core() is not None else "native core",
        "precisions": ", ".join(kernels.precisions()),
        "texts": ", ".join(texts),
        **{name: str(value) for name, value in settings.items()},
        "engine": name,
    }
