"""One session of a run, step by step: the order of everything that happens is here.

``Trainer`` holds the run. What is not the order of things has a place of its own: how much time is left
(``timing``), when something is due (``run.rhythm``), how fast to learn (``update.schedule``), whether an
update is made (``update.update_guard``), what is best (``keep_best``), how it is saved (``saving``) and told
(``reporting``). Everything that a resumed run needs is in the run and its ``RunState``, so any step can be
the last of a session and the first of the next. The arithmetic is known only as a ``Backend``.

A rollback goes to one of the last good checkpoints of the run (``go_back``). A checkpoint is *good* if it was
made at a moment that the rhythm names (with steps: on the grid of evaluations, whatever saving interval was
asked for) and the update before it was not bad. The run's state lists the last ``MOST_ROLLBACKS`` good steps,
as many as rollbacks can ask for (``RunState.add_good``). The list depends on the trajectory alone: a run that
was stopped and resumed anywhere has the same list, and so goes back to the same step, as the run that was
never stopped. Retention keeps the listed checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pantoum.errors import CheckpointError, DivergedError, ShardError, StorageError
from pantoum.formats import checkpoint
from pantoum.formats.checkpoint import Checkpoint
from pantoum.inference.evaluation import Evaluation
from pantoum.training.assembly import TrainingRun
from pantoum.training.reporting import Reporter, learned_by_heart, passage, sample_of
from pantoum.training.run.budget import Clock
from pantoum.training.run.run_state import RunState
from pantoum.training.run.signals import StopSignals
from pantoum.training.saving import Saving
from pantoum.training.timing import Timing
from pantoum.training.update.update_guard import UpdateGuard, Verdict

__all__ = ["Trainer", "go_back"]


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
        self.run = run
        self.stopped: str | None = None
        """What ended the session before its budget: a signal's name, or ``stop_after``."""
        self.evaluation: Evaluation | None = None
        """The evaluation of the best model on the whole validation text, once the budget is used."""
        self._stop, self._stop_after = stop, stop_after
        self.guard = UpdateGuard(run.prepared.tokenizer.vocab_size)
        self.timing = Timing(run, clock)
        if run.state.guard is not None:
            self.guard.restore(run.state.guard)
        self.reporter, self._note = reporter, reporter.note
        self.saving = Saving(run, self.timing, self.guard, reporter.note)
        self._evaluated_at: int | None = None
        """The step of the last evaluation."""

    # The order of things. -------------------------------------------------------------------------------

    def train(self) -> None:
        """Train, and save."""
        saving = self.saving
        for note in self.run.notes:
            self._note(note)
        try:
            if self.run.begins_anew:
                saving.checkpoint(anew=True, surely=True)
            for note in self.run.when_begun():
                self._note(note)
            while not self._over():
                if self.step():
                    self.after_step()
                    if saving.spoiled:
                        self._roll_back("the weights are not finite")
            if self.stopped is None:
                self._finish()
            else:
                self._pause()
        except (DivergedError, ShardError, StorageError) as problem:
            self._note(str(problem))
            self._report(ended="failed")
            raise

    def step(self) -> bool:
        """One batch through the guard; ``False`` if the run went back to an earlier step."""
        run, state, guard = self.run, self.run.state, self.guard
        rate = state.recipe.learning_rate * self.timing.rate_factor * guard.rate_factor
        began = time.perf_counter()
        batch = next(run.batches)
        targets = batch.targets_BT.size
        result = run.backend.gradients(batch, run.carried, state.step, run.streams)
        verdict = guard.judge(state.step + 1, result.loss, result.gradient_norm)
        if verdict is Verdict.GIVE_UP:
            raise self._does_not_recover(guard.last_reason)
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
        if result.state.finite:  # one that is not would spoil all batches to come
            run.carried = result.state
        state.step_done(targets, run.batches.cursor)
        self.timing.stepped(time.perf_counter() - began, targets)
        return True

    def after_step(self) -> None:
        """What follows a step. The order is part of the promise that a resumed run has the same bits: an
        evaluation comes before the checkpoint of the same step, which so knows of it (decision 042)."""
        state, timing, rhythm, keep = self.run.state, self.timing, self.timing.rhythm, self.run.keep_best
        step, seconds = state.step, timing.clock.seconds
        valid = sample = None
        evaluated = rhythm.evaluation_due(step, seconds)
        if evaluated:
            valid = self._evaluate()
            if rhythm.sample_due(step, timing.clock.seconds):
                sample = self._sample()
        if evaluated or rhythm.point_due(step, seconds):
            state.add_point(valid)
        if evaluated or self.reporter.is_due(timing.clock.seconds):
            self._report(valid, sample)
        if evaluated:
            self.reporter.write_page_if_due(timing.clock.seconds)
        keep.release()  # saving needs the memory
        decays = state.decay_step is None and timing.decays
        if decays or rhythm.saving_due(step, timing.clock.seconds):
            self.saving.checkpoint(decays=decays)

    def _over(self) -> bool:
        step = self.run.state.step
        if self.timing.over:
            # A clock that ran out before the first step still gets one, so that there is a model.
            return step > 0
        if self._stop.received is not None:
            self.stopped = self._stop.received
        elif self._stop_after is not None and step >= self._stop_after:
            self.stopped = "stop_after"
        return self.stopped is not None

    def _roll_back(self, why: str) -> None:
        """Return to a good checkpoint (the start if there never was one), and continue at half the rate."""
        run, state, trouble = self.run, self.run.state, self.run.state.step + 1
        if self.guard.gives_up(trouble):
            raise self._does_not_recover(why)
        further = self.guard.further_back(trouble)
        found, good = go_back(run.folder.path, state, further, self._note) or (None, None)
        if good is None and run.weights is None and state.identity.get("began_from") is not None:
            raise DivergedError(
                f"{why}, before the first good checkpoint, and the model that the run began from is "
                "gone or changed; bring it back, or begin a new run"
            )
        state.return_to(good)
        self.guard.rolled_back(trouble, None if good is None else good.guard)
        run.go_to(found)
        self._note(
            f"{why}: ROLLED BACK to step {state.step:,}, going on at "
            f"{self.guard.rate_factor:g} of the rate ({self.guard.rollbacks}. rollback)"
        )
        self.reporter.forget()
        self._evaluated_at = None  # an evaluation of the same step number was one of other weights
        self.saving.checkpoint(anew=True)

    def _does_not_recover(self, why: str) -> DivergedError:
        return DivergedError(
            f"training does not recover: {why}, after {self.guard.rollbacks} "
            f"rollbacks; give a --learning-rate below {self.run.state.recipe.learning_rate:g}"
        )

    def _finish(self) -> None:
        """The budget is used: evaluate the best model on the whole held-out text, write the last files.

        ``StorageError`` if the disk refuses the model or the checkpoint to the last."""
        run, state, keep, saving = self.run, self.run.state, self.run.keep_best, self.saving
        if state.span.by_clock and self._evaluated_at != state.step:
            valid = self._evaluate()
            state.add_point(valid)
            self._report(valid)
        with self.timing.phase("evaluation"):
            keep.compact()
            until = self.timing.has_to_end if state.span.by_clock else None
            evaluation = keep.evaluate(self.timing.last_scoring()[0], self.timing.tuning, until)
            self.evaluation = evaluation
            if evaluation is not None and run.prepared.valid is not None:
                held = run.prepared.valid.count - 1
                if evaluation.tokens < held:
                    self._note(
                        f"the time was over: the validation figures are of {evaluation.tokens:,} of {held:,} "
                        "held-out tokens, spread over the text"
                    )
            held_out = None
            if evaluation is not None and run.prepared.valid is not None:
                model = keep.kept_model()
                held_out = None if model is None else passage(model, run.prepared.valid.tokens)
                del model
        keep.release()
        if (note := learned_by_heart(state.curve, keep.best, state.recipe.model.dropout)) is not None:
            self._note(note)
        state.finish()
        saving.model(evaluation, surely=True)
        run.folder.begin_ending()
        saving.checkpoint(surely=True)
        self._report(ended="finished")
        self.reporter.write_page(evaluation, held_out)

    def _pause(self) -> None:
        """Someone asked to stop: write a checkpoint, and a model if there is none yet.

        ``StorageError`` if the disk refuses one of them to the last."""
        run, keep, saving = self.run, self.run.keep_best, self.saving
        saving.checkpoint(surely=True)
        if keep.best is None and not keep.judges_nothing and not run.folder.model.exists():
            keep.keep_last(run.backend)
            saving.model(surely=True)
        self._report(ended="stopped")
        self.reporter.write_page()

    # What it does at a step. ----------------------------------------------------------------------------

    def _evaluate(self) -> float | None:
        """The validation loss of this moment; weights that are the best so far go to the saver."""
        run, keep, timing, step = self.run, self.run.keep_best, self.timing, self.run.state.step
        with timing.phase("evaluation"):
            valid, improved = keep.monitor(step, run.backend)
        self._evaluated_at, spent = step, timing.took
        if run.state.span.by_clock:
            keep.measure_mixing()
        if keep.tokens_scored:
            timing.costs.evaluated(spent, keep.tokens_scored)
        timing.rhythm.evaluated(step, timing.clock.seconds)
        if improved:
            self.saving.model()
        return valid

    def _sample(self) -> str:
        """A text, the same for the same weights: those of the last evaluation."""
        with self.timing.phase("sampling"):
            sample = sample_of(self.run.keep_best.model(), self.run.state.recipe.seed)
        self.timing.costs.sampling = self.timing.took
        return sample

    def _report(
        self, valid: float | None = None, sample: str | None = None, ended: str | None = None
    ) -> None:
        """Write a record of this moment."""
        self.reporter.report(self.run, self.timing, valid, sample, ended)


def go_back(
    folder: Path, now: RunState, further: int, note: Callable[[str], None]
) -> tuple[Checkpoint, RunState] | None:
    """The good checkpoint to go back to from the state ``now``, and its state; ``None``: there is none.

    ``further``: newer good ones to pass over; where the list is shorter, the oldest is taken. One that does
    not verify is said, and the next older one is taken, then newer ones, then any other that verifies. If
    the list is empty there is none, whatever was saved for other reasons: the start depends on no stop.
    """
    good = now.good
    if not good and now.run is not None:  # runs of older versions have neither a list nor a name
        return None
    place = max(0, len(good) - 1 - further)
    others = [known for known in checkpoint.steps(folder) if known <= now.step and known not in good]
    for candidate in (*reversed(good[: place + 1]), *good[place + 1 :], *reversed(others)):
        try:
            found = checkpoint.read(folder, candidate)
            state = RunState.of(found)
            state.require_run(now.run, found.path)
        except CheckpointError as problem:
            note(f"recovery passes over the checkpoint of step {candidate:,}: {problem}")
            continue
        if not state.in_trouble:
            return found, state
    return None
