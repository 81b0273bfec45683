"""The training loop: a step, and what follows it, until the budget is used or someone asks to stop.

``train`` is the whole of a session: the run's folder and its lock, a beginning or a resumption, the loop, the
result. In the loop everything that matters between steps is in ``Run`` and its ``RunState``, nothing in
local variables, so any step can be the last of a session and the first of the next.

The loop knows the arithmetic only as a ``Backend``, the time only as a ``Clock``, and decides nothing that
has a file of its own: when (``rhythm``), how fast (``schedule``), whether (``guard``), what is best
(``keep_best``), what is told and saved (``after_step``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from pantoum.config import TrainSettings
from pantoum.errors import DivergedError, RunError, StorageError
from pantoum.formats import checkpoint, durable
from pantoum.formats.run_lock import RunLock
from pantoum.inference.evaluate import Evaluation
from pantoum.report.record import Report
from pantoum.training import recovery
from pantoum.training.after_step import AfterStep
from pantoum.training.assembly import Run
from pantoum.training.backend import StepResult
from pantoum.training.begin import begin
from pantoum.training.budget import Clock
from pantoum.training.guard import MOST_ROLLBACKS, Guard, Verdict
from pantoum.training.meter import Curve
from pantoum.training.reporter import Reporter
from pantoum.training.result import RunResult, of_finished, of_session
from pantoum.training.resume import Finished, resume
from pantoum.training.rhythm import ByClock, BySteps, Costs, Rhythm
from pantoum.training.run_folder import create, find, leave_needed
from pantoum.training.schedule import Schedule
from pantoum.training.signals import StopSignals, ending_at_once

__all__ = ["Loop", "train"]


def train(
    settings: TrainSettings,
    texts: Sequence[str] = (),
    *,
    on_report: Callable[[Report], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    started: float | None = None,
    command: Sequence[str] = (),
) -> RunResult:
    """Train as the settings ask, and return what became of it.

    ``started`` is ``time.monotonic()`` at the command's start, from which minutes are counted. A signal to
    stop is no error: the result's ``stopped`` names it, after a checkpoint. A second Ctrl-C raises
    ``KeyboardInterrupt``.
    """
    clock = Clock(started)
    folder = find(settings, texts) if settings.resume else create(settings, texts)
    with RunLock(folder.path) as lock:
        folder = replace(folder, lock=lock)
        checkpoint.clean_temporary(folder.path)
        try:
            with ending_at_once():
                run = (resume if settings.resume else begin)(folder, settings, texts, clock, command)
        except BaseException:
            if not settings.resume:
                with suppress(RunError):
                    folder.require()
                    durable.remove_tree(folder.path)  # it was made a moment ago, and nothing came of it
            raise
        if isinstance(run, Finished):
            return of_finished(folder, run.state)
        reporter = Reporter(folder, on_report, on_note)
        with StopSignals() as stop:
            loop = Loop(run, clock, reporter, stop, settings.stop_after)
            loop.train()
        if run.state.finished and not settings.keep_data:
            leave_needed(folder, settings)
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
        self._run, self._clock, self._reporter = run, clock, reporter
        self._stop, self._stop_after = stop, stop_after
        state = run.state
        if state.span.by_clock and run.opens_span:
            state.span = replace(state.span, begin=clock.seconds)
        self._guard = Guard(run.prepared.tokenizer.vocab_size)
        if state.guard is not None:
            self._guard.restore(state.guard)
        self._schedule = Schedule(state.recipe.schedule, state.recipe.warm_up if state.span.warm_up else 0.0)
        self._costs = Costs(saved_bytes=4 * 4 * run.parameters)
        self._rhythm: Rhythm = (
            ByClock(state.span, self._costs, clock.seconds, run.checkpoint_every)
            if state.span.by_clock
            else BySteps(state.span, run.checkpoint_every)
        )
        self._after = AfterStep(run, clock, reporter, self._guard, self._schedule, self._rhythm, self._costs)
        state.phases["preparing"] += clock.seconds - clock.used_before

    def train(self) -> None:
        """Train until the budget is used or someone asks to stop, and save."""
        for note in self._run.notes:
            self._reporter.note(note)
        try:
            if self._run.went_back:
                self._after.save(anew=True)
            while not self._over():
                if self._step():
                    self._after.after_step()
                    if self._after.spoiled:
                        self._roll_back("the weights are not finite")
                self._after.check_saver()
            if self.stopped is None:
                self.evaluation = self._after.finish()
            else:
                self._after.pause()
        except (DivergedError, StorageError) as problem:
            self._reporter.note(str(problem))
            self._after.report(ended="failed")
            raise
        finally:
            self._after.saver.close()

    def _over(self) -> bool:
        state = self._run.state
        if state.span.over(
            state.step, self._clock.seconds, step_seconds=self._costs.step, reserve=self._after.reserve()
        ):
            # A clock that ran out before the first step still gets one, so that there is a model.
            return state.step > 0
        if self._stop.received is not None:
            self.stopped = self._stop.received
        elif self._stop_after is not None and state.step >= self._stop_after:
            self.stopped = "stop_after"
        return self.stopped is not None

    def _step(self) -> bool:
        """One batch through the guard; ``False`` if the run went back to an earlier step."""
        run, state, after = self._run, self._run.state, self._after
        rate = state.recipe.learning_rate * self._schedule.factor(after.progress()) * self._guard.rate_factor
        began = time.perf_counter()
        inputs_BT, targets_BT, reset_BT, _ = next(run.batches)
        result = run.backend.gradients(inputs_BT, targets_BT, reset_BT, run.carried, state.step, run.streams)
        verdict = self._guard.judge(state.step + 1, result.loss, result.gradient_norm)
        if verdict is Verdict.GIVE_UP:
            raise self._does_not_recover(self._guard.last_reason)
        if verdict is Verdict.ROLL_BACK:
            self._roll_back(self._guard.last_reason)
            return False
        if verdict is Verdict.ACCEPT:
            run.backend.update(rate, state.recipe.clip)
            for sums in (after.since_report, state.curve.sums):
                sums.add(result.loss, result.accuracy, targets_BT.size)
            after.rate, after.gradient_norm = rate, result.gradient_norm
        if self._guard.last_reason:
            self._reporter.note(self._guard.last_reason)
            self._guard.last_reason = ""
        self._hand_on(result)
        state.step, state.tokens, state.cursor = (
            state.step + 1,
            state.tokens + targets_BT.size,
            run.batches.cursor,
        )
        took = time.perf_counter() - began
        state.phases["training"] += took
        self._costs.stepped(took, targets_BT.size)
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
        """Go back to a good checkpoint (the start if there never was one), and on at half the rate."""
        run, state, trouble = self._run, self._run.state, self._run.state.step + 1
        if self._guard.rollbacks >= MOST_ROLLBACKS:
            raise self._does_not_recover(why)
        self._after.saver.wait()
        self._after.check_saver()
        further = self._guard.further_back(trouble)
        taken = recovery.go_back(run.folder.path, state, further, self._reporter.note)
        if taken is None:
            if run.weights is None and state.identity.get("began_from") is not None:
                raise DivergedError(
                    f"{why}, before the first good checkpoint, and the model that the run began from is "
                    "gone or changed; bring it back, or begin a new run"
                )
            found, state.good, state.curve, state.decay_step, record = None, [], Curve(), None, None
        else:
            found, good = taken
            state.step, state.tokens, state.cursor = good.step, good.tokens, good.cursor
            state.good = [step for step in state.good if step <= good.step]
            state.curve, state.decay_step, record = good.curve, good.decay_step, good.guard
        self._guard.rolled_back(trouble, record)
        run.go_to(found)
        self._reporter.note(
            f"{why}: ROLLED BACK to step {state.step:,}, going on at "
            f"{self._guard.rate_factor:g} of the rate ({self._guard.rollbacks}. rollback)"
        )
        self._after.went_back()
