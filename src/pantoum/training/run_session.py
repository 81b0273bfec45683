"""One command of training, which is one session of a run: the folder and its lock, the run, the result.

``train`` makes a new run or takes up an old one, and hands it to the ``Trainer``.

A launcher may start the command again when a process has failed (``torchrun --max-restarts``). The same
command would then begin a second run, or be refused because the folder exists. So the launcher remembers the
folder that the first start has made, and a later start goes on with that run: with the budget and the
settings that it began with. A folder that another job has made is never entered in this way. A command with
``--resume`` needs none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pantoum.config import OF_ONE_COMMAND, TrainSettings
from pantoum.errors import RunError, StorageError
from pantoum.formats import checkpoint, durable
from pantoum.report.record import Report
from pantoum.training.begin import TrainingCommand, begin
from pantoum.training.reporting import Reporter
from pantoum.training.result import RunResult, of_finished, of_session
from pantoum.training.resume import resume
from pantoum.training.run.run_folder import create, find, leave_needed, run_named
from pantoum.training.run.run_state import RunState
from pantoum.training.run.signals import StopSignals, ending_at_once
from pantoum.training.together import for_ranks
from pantoum.training.trainer import Trainer

__all__ = ["LauncherJob", "train"]


@dataclass(frozen=True)
class LauncherJob:
    """What the launcher remembers from one start of the command to the next."""

    run: Path | None
    """The folder of the run that this job has made."""
    remember: Callable[[Path], object]
    """Called with the folder that it makes."""


def train(
    command: TrainingCommand,
    on_report: Callable[[Report], None] | None = None,
    job: LauncherJob | None = None,
) -> RunResult:
    """Train as the command asks, and return what became of it. This is rank 0; the other ranks serve it
    (``together``). ``job``: of a launcher that starts the command again when it has failed.

    A signal to stop is no error: the result's ``stopped`` names it, after a checkpoint. A second Ctrl-C
    raises ``KeyboardInterrupt``.
    """
    settings, texts, clock = command.settings, command.texts, command.clock
    settings, texts = (settings, texts) if job is None else _after_restart(job, settings, texts)
    settings, texts = run_named(for_ranks(settings, command.ranks.count), texts)
    asked = replace(command, settings=settings, texts=texts)
    folder = find(settings, texts) if settings.resume else create(settings, texts)
    if job is not None and not settings.resume:
        job.remember(folder.path.absolute())
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


def _after_restart(
    job: LauncherJob, settings: TrainSettings, texts: Sequence[str]
) -> tuple[TrainSettings, Sequence[str]]:
    """Settings and texts with which to go on with the run of the job; those given if it has none yet."""
    made = None if settings.resume else job.run
    if made is None or not made.is_dir():
        return settings, texts
    kept = {name: getattr(settings, name) for name in OF_ONE_COMMAND}
    return TrainSettings(**{**kept, "run": str(made), "resume": True}), ()
