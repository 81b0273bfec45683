"""One command of training, which is one session of a run: the folder and its lock, the run, the result.

``train`` makes a new run or takes up an old one, and hands it to the ``Trainer``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

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
from pantoum.training.trainer import Trainer


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
