"""What follows a step: the validation loss, a sample, a record, a checkpoint; and what a run's end needs.

The order after a step is part of the promise of bits: an evaluation comes before the checkpoint of the same
step, so that a run that goes on from there has not lost it. Files are written by the ``Saver`` in the
background; a disk that refuses is said loudly and tried again, and what stood on it before still stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pantoum.errors import StorageError
from pantoum.inference.evaluate import Evaluation
from pantoum.report.record import Report
from pantoum.training.assembly import Run, carried_arrays
from pantoum.training.budget import Clock
from pantoum.training.card import card
from pantoum.training.checkpointing import KEPT, Saver, all_finite
from pantoum.training.guard import Guard
from pantoum.training.meter import Sums
from pantoum.training.recovery import with_good, without
from pantoum.training.refusals import Refusals
from pantoum.training.reporter import Reporter, passage, sample_of
from pantoum.training.rhythm import BySteps, Costs, Rhythm
from pantoum.training.schedule import Schedule

__all__ = ["AfterStep"]

LAST_TRIES, BETWEEN_TRIES = 3, 0.5
PAGE_PAUSE = 1.0
"""Least seconds between two writings of the page."""
END_SHARE = 0.01
"""Most of the time that scoring the whole held-out text in float32 may take."""
MOST_WAITING = 2
"""Model files that may wait for the disk, each with a copy of the weights."""


class AfterStep:
    """Evaluates, writes samples, reports and saves for one session of a run."""

    def __init__(
        self,
        run: Run,
        clock: Clock,
        reporter: Reporter,
        guard: Guard,
        schedule: Schedule,
        rhythm: Rhythm,
        costs: Costs,
    ) -> None:
        self.run, self.clock, self.reporter, self.guard = run, clock, reporter, guard
        self.schedule, self.rhythm, self.costs = schedule, rhythm, costs
        self.saver = Saver(run.folder.path, run.folder.require)
        self._refusals = Refusals(reporter.note)
        self.since_report = Sums()
        self.rate = 0.0
        self.gradient_norm: float | None = None
        self._reported_at = self._trained_then = self._page_at = 0.0
        self._looked_at: int | None = None
        self._model_is_due = False
        self._models_waiting = 0
        self.spoiled = False
        """Whether the weights were found not to be finite, and were not saved."""

    # After a step. --------------------------------------------------------------------------------------

    def after_step(self) -> None:
        """All that is due now."""
        state = self.run.state
        step, seconds = state.step, self.clock.seconds
        if isinstance(self.rhythm, BySteps) and self.rhythm.saving_due(step, seconds):
            self.saver.wait()  # what is told from here on is at most one interval from the disk
        valid = sample = None
        looked = self.rhythm.evaluation_due(step, seconds)
        if looked:
            valid = self.evaluate()
            sample = self.sample() if self.rhythm.sample_due(step, self.clock.seconds) else None
        if looked or self.rhythm.point_due(step, seconds):
            state.curve.mark(step, state.tokens, valid)
        if looked or self.reporter.has_news or self._report_is_due():
            self.report(valid, sample)
        if looked and self.clock.seconds - self._page_at >= PAGE_PAUSE:
            self._page_at = self.clock.seconds
            self.reporter.write_page()
        self.run.keep_best.release()
        falls = state.decay_step is None and self._falling()
        if falls or self.rhythm.saving_due(step, self.clock.seconds):
            self.save(falls=falls)

    def evaluate(self) -> float | None:
        """The validation loss; weights that are the best so far go to the saver."""
        step, keep = self.run.state.step, self.run.keep_best
        with self._phase("evaluation") as spent:
            valid, improved = keep.monitor(step, self.run.backend)
        self._looked_at = step
        if keep.tokens_scored:
            self.costs.evaluated(spent[0], keep.tokens_scored)
        self.rhythm.evaluated(step, self.clock.seconds)
        if improved:
            self.write_model()
        return valid

    def sample(self) -> str | None:
        """Something the model writes now, the same for the same weights."""
        with self._phase("sampling") as spent:
            written = sample_of(self.run.keep_best.model(), self.run.state.recipe.seed)
        self.costs.sampling = spent[0]
        return written

    def report(self, valid: float | None = None, sample: str | None = None, ended: str | None = None) -> None:
        """Hand out a record of this moment."""
        state, sums, seconds = self.run.state, self.since_report, self.clock.seconds
        trained = state.phases["training"]
        since, left = trained - self._trained_then, self._time_left(seconds)
        self.since_report, self._reported_at, self._trained_then = Sums(), seconds, trained
        self.reporter.emit(
            lambda notes: Report(
                step=state.step,
                tokens=state.tokens,
                seconds=seconds,
                loss=sums.mean_loss,
                accuracy=sums.mean_accuracy,
                gradient_norm=self.gradient_norm,
                learning_rate=self.rate,
                tokens_per_second=sums.tokens / since if since > 0.0 else 0.0,
                epoch=state.step / self.run.batches.steps_per_epoch,
                progress=state.span.used(state.step, seconds),
                time_left=left,
                valid=valid,
                sample=sample,
                phases=dict(state.phases),
                notes=notes,
                ended=ended,
            )
        )

    # Saving. --------------------------------------------------------------------------------------------

    def save(self, *, falls: bool = False, anew: bool = False, at_last: bool = False) -> None:
        """Hand a checkpoint of this moment to the saver. ``falls``: here the rate begins to fall; ``anew``:
        the run went back to here; ``at_last``: the session ends here."""
        run, state = self.run, self.run.state
        must = at_last or anew or falls or isinstance(self.rhythm, BySteps)
        if (self.guard.in_trouble and not at_last) or (self.saver.busy and not must):
            return
        with self._phase("saving"):
            self.saver.wait()
            self.check_saver()
            arrays = {**run.backend.snapshot(), **carried_arrays(run)}
            self.spoiled = not all_finite(arrays)
            # Off the grid the next losses tell, as they do where nothing is saved at this step.
            here = self.rhythm.recovers_here(state.step, self.clock.seconds)
            unsaved, self.spoiled = self.spoiled, self.spoiled and here
            if unsaved:
                return
            if falls:
                state.decay_step = state.step
            if here and not self.guard.in_trouble:
                state.good = with_good(state.good, state.step)
            state.seconds, state.guard, state.best = self.clock.seconds, self.guard.spec(), run.keep_best.best
            self.saver.checkpoint(
                state.step,
                arrays,
                state.spec(),
                also=self._stay(),
                anew=anew,
                keep=1 if state.finished else KEPT,
            )
        self.rhythm.saved(state.step, self.clock.seconds)
        if self._model_is_due or run.keep_best.judges_nothing:
            self.write_model()

    def write_model(self, evaluation: Evaluation | None = None) -> None:
        """Hand the best weights (without a held-out text the last) to the saver as a model file."""
        run, keep = self.run, self.run.keep_best
        if keep.judges_nothing:
            keep.keep_last(run.backend)
        made = keep.model_file(
            card(run.state, keep.best, evaluation, run.prepared.facts, run.parameters, keep.peaks)
        )
        if made is None:
            return
        if self._models_waiting >= MOST_WAITING:
            self.saver.wait()
            self.check_saver()
        self._models_waiting += 1
        self._model_is_due = False
        self.saver.model(run.state.step, run.folder.model, made)

    def check_saver(self) -> list[StorageError]:
        """Collect the outcomes of saving; failures are reported and returned."""
        failed = []
        for outcome in self.saver.outcomes():
            self._refusals.hear(outcome)
            self._models_waiting -= outcome.what == "model"
            if outcome.error is None:
                if outcome.what == "checkpoint":
                    self.costs.saved(outcome.seconds)
                continue
            failed.append(outcome.error)
            if outcome.what == "model":
                self._model_is_due = True
            else:
                self._refused(outcome.step)
        return failed

    def _refused(self, step: int) -> None:
        """The disk refused the checkpoint of ``step``: nothing can go back to it."""
        state = self.run.state
        state.good = without(state.good, step)
        if state.decay_step == step:
            state.decay_step = None

    def went_back(self) -> None:
        """The run was rolled back: count anew from here, and make here the newest checkpoint."""
        self.since_report, self._looked_at = Sums(), None
        self.save(anew=True)

    # The end of a session. ------------------------------------------------------------------------------

    def finish(self) -> Evaluation | None:
        """The budget is used: the best model's figures, the last files."""
        run, keep = self.run, self.run.keep_best
        self.saver.wait()  # evaluation and a copy that is being saved need not be in memory at once
        if self._looked_at != run.state.step and not isinstance(self.rhythm, BySteps):
            valid = self.evaluate()
            run.state.curve.mark(run.state.step, run.state.tokens, valid)
            self.report(valid)
        with self._phase("evaluation"):
            keep.compact()
            evaluation = keep.evaluate(self._end()[0])
            held_out = None
            if evaluation is not None and run.prepared.valid is not None:
                model = keep.kept_model()
                held_out = None if model is None else passage(model, run.prepared.valid.tokens)
                del model
        keep.release()
        run.state.finished = True
        self._surely(lambda: self.write_model(evaluation))
        self._surely(lambda: self.save(at_last=True))
        self.report(ended="finished")
        self.reporter.write_page(evaluation, held_out)
        return evaluation

    def pause(self) -> None:
        """Someone asked to stop: a checkpoint, and a model to look at if there is none yet."""
        run, keep = self.run, self.run.keep_best
        self._surely(lambda: self.save(at_last=True))
        if keep.best is None and not keep.judges_nothing and not run.folder.model.exists():
            keep.keep_last(run.backend)
            self._surely(self.write_model)
        self.report(ended="stopped")
        self.reporter.write_page()

    def _surely(self, give: Callable[[], None]) -> None:
        """Hand something over and wait until it is on the disk; one that refuses to the last is an error."""
        for attempt in range(LAST_TRIES):
            if attempt:
                time.sleep(BETWEEN_TRIES)
            with self._phase("saving"):
                give()
                self.saver.wait()
            failed = self.check_saver()
            if not failed:
                return
        raise failed[-1]

    # What is known. -------------------------------------------------------------------------------------

    def progress(self) -> float:
        """How far along in the schedule the next update is."""
        state = self.run.state
        return state.span.progress(
            state.step, self.clock.seconds, step_seconds=self.costs.step, reserve=self.reserve()
        )

    def reserve(self) -> float:
        """Seconds kept back for the end, at most a third of the budget."""
        span = self.run.state.span
        if not span.by_clock:
            return 0.0
        return min(self.costs.reserve(self._end()[1]), (span.end - span.begin) / 3.0)

    def _end(self) -> tuple[str, int]:
        """How the end scores the held-out text, and how much it reads."""
        span, keep = self.run.state.span, self.run.keep_best
        if not span.by_clock:
            return keep.at_the_end()
        return keep.at_the_end(END_SHARE * (span.end - span.begin) / max(self.costs.a_token_scored, 1e-12))

    def _falling(self) -> bool:
        falls = self.schedule.prolonged_from
        return falls < 1.0 and self.progress() >= falls

    def _stay(self) -> set[int]:
        """Checkpoints that stay beside the last three: where the rate began to fall, and while the run goes
        on those that a rollback can ask for."""
        state = self.run.state
        stay = set(state.good[-1:] if state.finished else state.good)
        return stay if state.decay_step is None else {*stay, state.decay_step}

    def _report_is_due(self) -> bool:
        """Every second at first, more rarely the longer the run."""
        seconds = self.clock.seconds
        return seconds - self._reported_at >= min(max(1.0, seconds / 500.0), 30.0)

    def _time_left(self, seconds: float) -> float | None:
        state = self.run.state
        if state.span.by_clock:
            return max(0.0, state.span.end - seconds)
        trained = state.phases["training"]
        whole = sum(state.phases.values()) - state.phases["preparing"]
        if trained == 0.0:
            return None
        return max(0.0, state.span.end - state.step) * self.costs.step * whole / trained

    @contextmanager
    def _phase(self, name: str) -> Iterator[list[float]]:
        """Count the time spent inside; the list gets it at the end."""
        began, spent = time.perf_counter(), [0.0]
        try:
            yield spent
        finally:
            spent[0] = time.perf_counter() - began
            self.run.state.phases[name] += spent[0]
