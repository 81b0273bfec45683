"""One session of a run, step by step: the order of everything that happens is on this page.

    a batch -> its gradients -> the guard -> the update -> evaluate -> report -> save          again, and then
    the end: the best model on the whole held-out text, the last files

What is not the order of things has a place of its own: when something is due and how much time is left
(``timing``), whether an update is made (``update.update_guard``), what is best (``keep_best``), how it is
saved (``saving``) and told (``reporting``). Everything that a resumed run needs is in the run and its
``RunState``, so any step can be the last of a session and the first of the next. The arithmetic is known only
as a ``Backend``.

A rollback goes to the last good checkpoint of the run (``saving.go_back``). A checkpoint is *good* if it was
made at a moment that the rhythm names (with steps: on the grid of evaluations, whatever saving interval was
asked for) and the update before it was not bad. The run's state lists the last good steps, which follow from
the trajectory alone: a run that was stopped and resumed anywhere has the same list, and so goes back to the
same step, as the run that was never stopped. Retention keeps the listed checkpoints.
"""

from __future__ import annotations

import time

from pantoum.errors import DivergedError, ShardError, StorageError
from pantoum.inference.evaluation import Evaluation
from pantoum.training.assembly import TrainingRun
from pantoum.training.reporting import Reporter, learned_by_heart, passage, sample_of
from pantoum.training.run.budget import Clock
from pantoum.training.run.signals import StopSignals
from pantoum.training.saving import Saving, go_back
from pantoum.training.timing import Timing
from pantoum.training.update.update_guard import UpdateGuard, Verdict


class Trainer:
    """Trains a run until its budget is used or someone asks to stop."""

    def __init__(
        self,
        run: TrainingRun,
        clock: Clock,
        reporter: Reporter,
        stop: StopSignals,
        stop_after: int | None = None,
    ) -> None:
        self.run, self.state, self.keep = run, run.state, run.keep_best
        self.stopped: str | None = None
        """What ended the session before its budget: a signal's name, or ``stop_after``."""
        self.evaluation: Evaluation | None = None
        """The evaluation of the best model on the whole validation text, once the budget is used."""
        self._stop, self._stop_after = stop, stop_after
        self.guard = UpdateGuard(run.prepared.tokenizer.vocab_size)
        if run.state.guard is not None:
            self.guard.restore(run.state.guard)
        self.timing = Timing(run, clock)
        self.reporter, self._note = reporter, reporter.note
        self.saving = Saving(run, self.timing, self.guard, reporter.note)
        self._evaluated_at: int | None = None
        """The step of the last evaluation."""

    def train(self) -> None:
        """The loop."""
        for note in self.run.notes:
            self._note(note)
        try:
            if self.run.begins_anew:
                self.saving.checkpoint(anew=True, surely=True)
            for note in self.run.when_begun():
                self._note(note)
            while not self._over():
                if self.step():
                    self.after_step()
                    if self.saving.spoiled:
                        self._roll_back("the weights are not finite")
            if self.stopped is None:
                self._finish()
            else:
                self._pause()
        except (DivergedError, ShardError, StorageError) as problem:
            self._note(str(problem))
            self.reporter.report(self.run, self.timing, ended="failed")
            raise

    def _over(self) -> bool:
        """Whether the budget is used, or somebody asked to stop."""
        step = self.state.step
        if self.timing.over:
            # A clock that ran out before the first step still gets one, so that there is a model.
            return step > 0
        if self._stop.received is not None:
            self.stopped = self._stop.received
        elif self._stop_after is not None and step >= self._stop_after:
            self.stopped = "stop_after"
        return self.stopped is not None

    def step(self) -> bool:
        """One batch through the guard; ``False`` if the run went back to an earlier step."""
        run, state, guard = self.run, self.state, self.guard
        rate = state.recipe.learning_rate * self.timing.rate_factor * guard.rate_factor
        began = time.perf_counter()
        batch = next(run.batches)
        targets = batch.targets_BT.size
        result = run.backend.gradients(batch, run.carried, state.step, run.streams)
        verdict = guard.judge(state.step + 1, result.loss, result.gradient_norm)
        if verdict is Verdict.ROLL_BACK:
            self._roll_back(guard.last_reason)
            return False
        if verdict is Verdict.ACCEPT:
            run.backend.update(rate, state.recipe.clip)
            state.updated(result.loss, result.accuracy, targets)
            self.reporter.updated(result, rate, targets)
        if guard.last_reason:
            self._note(guard.last_reason)
            guard.last_reason = ""
        if result.finite:  # a state that is not would spoil all batches to come
            run.carried = result.state
        state.step_done(targets, run.batches.cursor)
        self.timing.stepped(time.perf_counter() - began, targets)
        return True

    def after_step(self) -> None:
        """What follows a step. The order is part of the promise that a resumed run has the same bits: an
        evaluation comes before the checkpoint of the same step, which so knows of it."""
        state, timing, rhythm = self.state, self.timing, self.timing.rhythm
        step, seconds = state.step, timing.clock.seconds
        valid = sample = None
        evaluated = rhythm.evaluation_due(step, seconds)
        if evaluated:
            valid = self._evaluate()
            if rhythm.sample_due(step, timing.clock.seconds):
                with timing.phase("sampling"):
                    sample = sample_of(self.keep.model(), state.recipe.seed)
                timing.costs.sampling = timing.took
        if evaluated or rhythm.point_due(step, seconds):
            state.add_point(valid)
        if evaluated or self.reporter.is_due(timing.clock.seconds):
            self.reporter.report(self.run, timing, valid, sample)
        if evaluated:
            self.reporter.write_page_if_due(timing.clock.seconds)
        self.keep.release()  # saving needs the memory
        decays = state.decay_step is None and timing.decays
        if decays or rhythm.saving_due(step, timing.clock.seconds):
            self.saving.checkpoint(decays=decays)

    def _evaluate(self) -> float | None:
        """The validation loss of this moment; weights that are the best so far are saved."""
        keep, timing, step = self.keep, self.timing, self.state.step
        with timing.phase("evaluation"):
            valid, improved = keep.monitor(step, self.run.backend)
        self._evaluated_at, spent = step, timing.took
        if self.state.span.by_clock:
            keep.measure_mixing()
        if keep.tokens_scored:
            timing.costs.evaluated(spent, keep.tokens_scored)
        timing.rhythm.done("evaluation", timing.clock.seconds)
        if improved:
            self.saving.model()
        return valid

    def _roll_back(self, why: str) -> None:
        """Return to the last good checkpoint (the start if there never was one), and go on at half the
        rate."""
        run, state, trouble = self.run, self.state, self.state.step + 1
        if self.guard.gives_up(trouble):
            raise DivergedError(
                f"training does not recover: {why}, after {self.guard.rollbacks} "
                f"rollbacks; give a --learning-rate below {state.recipe.learning_rate:g}"
            )
        found, good = go_back(run.folder.path, state, self._note) or (None, None)
        if good is None and run.weights is None and state.identity.get("began_from") is not None:
            raise DivergedError(
                f"{why}, before the first good checkpoint, and the model that the run began from is "
                "gone or changed; restore it, or begin a new run"
            )
        state.return_to(good)
        self.guard.rolled_back(trouble, None if good is None else good.guard)
        run.go_to(found)
        self._note(
            f"{why}: ROLLED BACK to step {state.step:,}, going on at "
            f"{self.guard.rate_factor:g} of the rate (rollback {self.guard.rollbacks})"
        )
        self.reporter.forget()
        self._evaluated_at = None  # an evaluation of the same step number was one of other weights
        self.saving.checkpoint(anew=True)

    def _finish(self) -> None:
        """The budget is used: evaluate the best model on the whole held-out text, write the last files.

        ``StorageError`` if the disk refuses the model or the checkpoint to the last."""
        run, state, keep, timing = self.run, self.state, self.keep, self.timing
        held_out = None
        if state.span.by_clock and self._evaluated_at != state.step:
            valid = self._evaluate()
            state.add_point(valid)
            self.reporter.report(run, timing, valid)
        with timing.phase("evaluation"):
            keep.compact()
            until = timing.has_to_end if state.span.by_clock else None
            self.evaluation = keep.evaluate(timing.last_scoring()[0], timing.tuning, until)
            if self.evaluation is not None and run.prepared.valid is not None:
                if (read := self.evaluation.tokens) < (held := run.prepared.valid.count - 1):
                    self._note(
                        f"the time ended: the validation figures are of {read:,} of {held:,} "
                        "held-out tokens, spread over the text"
                    )
                model = keep.kept_model()
                held_out = None if model is None else passage(model, run.prepared.valid.tokens)
                del model  # saving needs the memory
        keep.release()
        if (note := learned_by_heart(state.curve, keep.best, state.recipe.model.dropout)) is not None:
            self._note(note)
        state.finish()
        self.saving.model(self.evaluation, surely=True)
        run.folder.begin_ending()
        self.saving.checkpoint(surely=True)
        self.reporter.report(run, timing, ended="finished")
        self.reporter.write_page(self.evaluation, held_out)

    def _pause(self) -> None:
        """Someone asked to stop: write a checkpoint, and a model if there is none yet.

        ``StorageError`` if the disk refuses one of them to the last."""
        keep = self.keep
        self.saving.checkpoint(surely=True)
        if keep.best is None and not keep.judges_nothing and not self.run.folder.model.exists():
            keep.keep_last(self.run.backend)
            self.saving.model(surely=True)
        self.reporter.report(self.run, self.timing, ended="stopped")
        self.reporter.write_page()
