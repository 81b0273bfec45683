"""The training loop: a step, and the hooks after it, until the budget is used or someone asks to stop.

``train`` is the whole of a session: the folder of the run and its lock, a new or a resumed run, the loop, the
result. In the loop everything that matters between steps is in ``Run`` and its ``RunState``, nothing in
local variables, so any step can be the last of a session and the first of the next.

The loop knows the arithmetic only as a ``Backend``, the time only as a ``Clock``, and decides nothing that
has a file of its own: when (``rhythm``), how fast (``schedule``), whether (``guard``), what is best
(``keep_best``), what is reported and saved (``after_step``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from pantoum.config import TrainSettings
from pantoum.data import prepared_folder
from pantoum.errors import DivergedError, RunError, ShardError, StorageError
from pantoum.formats import checkpoint, durable
from pantoum.inference.evaluate import Evaluation
from pantoum.ranks.interface import Ranks
from pantoum.ranks.single import SingleRank
from pantoum.report.record import Report
from pantoum.training.after_step import AfterStep
from pantoum.training.assembly import Run
from pantoum.training.begin import begin
from pantoum.training.engine import Engine
from pantoum.training.job import Job, after_restart
from pantoum.training.result import RunResult, of_finished, of_session
from pantoum.training.resume import Finished, resume
from pantoum.training.run import recovery
from pantoum.training.run.budget import Clock
from pantoum.training.run.reporter import Reporter
from pantoum.training.run.run_folder import create, find, leave_needed
from pantoum.training.run.signals import StopSignals, ending_at_once
from pantoum.training.run_session import RunSession
from pantoum.training.session_end import finish, pause
from pantoum.training.together import for_ranks
from pantoum.training.update.backend import StepResult
from pantoum.training.update.guard import Verdict

__all__ = ["Loop", "train"]


def train(
    settings: TrainSettings,
    texts: Sequence[str] = (),
    *,
    on_report: Callable[[Report], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    started: float | None = None,
    command: Sequence[str] = (),
    ranks: Ranks | None = None,
    engine: Engine | None = None,
    job: Job | None = None,
) -> RunResult:
    """Train as the settings ask, and return what became of it. With ``ranks`` this is rank 0, and the others
    serve it (``together``). ``job``: of a launcher that starts the command again when it has failed.

    ``started`` is ``time.monotonic()`` at the command's start, from which minutes are counted. A signal to
    stop is no error: the result's ``stopped`` names it, after a checkpoint. A second Ctrl-C raises
    ``KeyboardInterrupt``.
    """
    clock, ranks = Clock(started), SingleRank() if ranks is None else ranks
    settings, texts = (settings, texts) if job is None else after_restart(job, settings, texts)
    settings = for_ranks(settings, ranks.count)
    folder = find(settings, texts) if settings.resume else create(settings, texts)
    if job is not None and not settings.resume:
        job.remember(folder.path.absolute())
    with folder.locked() as folder:
        checkpoint.clean_temporary(folder.path)
        prepared_folder.tidy(folder.data)
        try:
            with ending_at_once():
                made_by = resume if settings.resume else begin
                run = made_by(folder, settings, texts, clock, command, ranks, engine)
        except BaseException:
            if not settings.resume:
                with suppress(RunError, StorageError):
                    folder.require()
                    durable.remove_tree(folder.path)  # it was made a moment ago, and nothing came of it
            raise
        if isinstance(run, Finished):
            return of_finished(folder, run.state)
        reporter = Reporter(folder, on_report, on_note)
        with StopSignals() as stop:
            loop = Loop(run, clock, reporter, stop, settings.stop_after)
            loop.train()
        if run.state.finished:
            if not settings.keep_data:
                leave_needed(folder, settings)
            folder.ended()
        return of_session(run, clock.seconds, loop.stopped, loop.evaluation, reporter)


class Loop:
    """One session of a run."""

    def __init__(
        self, run: Run, clock: Clock, reporter: Reporter, stop: StopSignals, stop_after: int | None = None
    ) -> None:
        self.stopped: str | None = None
        """What ended the session before its budget: a signal's name, or ``stop_after``."""
        self.evaluation: Evaluation | None = None
        """The evaluation of the best model on the whole validation text, once the budget is used."""
        self._run, self._stop, self._stop_after = run, stop, stop_after
        self._session = RunSession(run, clock, reporter)
        self._guard, self._note = self._session.guard, reporter.note
        self._after = AfterStep(self._session)

    def train(self) -> None:
        """Train until the budget is used or someone asks to stop, and save."""
        after, saving = self._after, self._after.saving
        for note in self._run.notes:
            self._note(note)
        try:
            if self._run.begins_anew:
                saving.surely(lambda: saving.checkpoint(anew=True))
            for note in self._run.when_begun():
                self._note(note)
            while not self._over():
                if self._step():
                    after.call()
                    if saving.spoiled:
                        self._roll_back("the weights are not finite")
                saving.collect()
            if self.stopped is None:
                self.evaluation = finish(self._session, after)
            else:
                pause(self._session, after)
        except (DivergedError, ShardError, StorageError) as problem:
            self._note(str(problem))
            after.reporting.report(ended="failed")
            raise
        finally:
            saving.close()

    def _over(self) -> bool:
        step = self._run.state.step
        if self._session.over:
            # A clock that ran out before the first step still gets one, so that there is a model.
            return step > 0
        if self._stop.received is not None:
            self.stopped = self._stop.received
        elif self._stop_after is not None and step >= self._stop_after:
            self.stopped = "stop_after"
        return self.stopped is not None

    def _step(self) -> bool:
        """One batch through the guard; ``False`` if the run went back to an earlier step."""
        run, state = self._run, self._run.state
        rate = self._session.learning_rate
        began = time.perf_counter()
        batch = next(run.batches)
        targets = batch.targets_BT.size
        result = run.backend.gradients(batch, run.carried, state.step, run.streams)
        verdict = self._guard.judge(state.step + 1, result.loss, result.gradient_norm)
        if verdict is Verdict.GIVE_UP:
            raise self._does_not_recover(self._guard.last_reason)
        if verdict is Verdict.ROLL_BACK:
            self._roll_back(self._guard.last_reason)
            return False
        if verdict is Verdict.ACCEPT:
            run.backend.update(rate, state.recipe.clip)
            state.updated(result.loss, result.accuracy, targets)
            self._after.reporting.updated(result, rate, targets)
        if self._guard.last_reason:
            self._note(self._guard.last_reason)
            self._guard.last_reason = ""
        self._hand_on(result)
        state.step_done(targets, run.batches.cursor)
        took = time.perf_counter() - began
        state.spend("training", took)
        self._session.costs.stepped(took, targets)
        return True

    def _hand_on(self, result: StepResult) -> None:
        """The streams go on from their new state; one that is not finite would spoil all batches to come."""
        if result.state.finite:
            self._run.carried = result.state

    def _does_not_recover(self, why: str) -> DivergedError:
        return DivergedError(
            f"training does not recover: {why}, after {self._guard.rollbacks} "
            f"rollbacks; give a learning_rate below {self._run.state.recipe.learning_rate:g}"
        )

    def _roll_back(self, why: str) -> None:
        """Return to a good checkpoint (the start if there never was one), and continue at half the rate."""
        run, state, trouble = self._run, self._run.state, self._run.state.step + 1
        if self._guard.gives_up(trouble):
            raise self._does_not_recover(why)
        self._after.saving.wait()
        self._after.saving.collect()
        further = self._guard.further_back(trouble)
        found, good = recovery.go_back(run.folder.path, state, further, self._note) or (None, None)
        if good is None and run.weights is None and state.identity.get("began_from") is not None:
            raise DivergedError(
                f"{why}, before the first good checkpoint, and the model that the run began from is "
                "gone or changed; bring it back, or begin a new run"
            )
        state.return_to(good)
        self._guard.rolled_back(trouble, None if good is None else good.guard)
        run.go_to(found)
        self._note(
            f"{why}: ROLLED BACK to step {state.step:,}, going on at "
            f"{self._guard.rate_factor:g} of the rate ({self._guard.rollbacks}. rollback)"
        )
        self._after.went_back()
