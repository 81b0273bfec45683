"""Checkpoints and the best model's file: when they are written, and what a disk that refuses changes.

The ``Saver`` writes both in a thread of its own. A refusal is reported (the first in full, then a count, then
that saving works again) and the write is tried again; what was saved before it is still complete.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pantoum.errors import StorageError
from pantoum.inference.evaluation import Evaluation
from pantoum.training.assembly import TrainingRun, carried_arrays
from pantoum.training.run.checkpointing import KEPT, Outcome, Saver, all_finite
from pantoum.training.run.training_card import card
from pantoum.training.timing import Timing
from pantoum.training.update.update_guard import UpdateGuard

__all__ = ["Refusals", "Saving"]

LAST_TRIES, BETWEEN_TRIES = 3, 0.5
"""Attempts to save at the end of a session, and the seconds between them."""
MOST_WAITING = 2
"""Model files that may wait for the disk, each with a copy of the weights."""
LOUD = (10, 100, 1000, 10_000)
"""Failures in a row after which the count is said."""


class Saving:
    """Saves for one session of a run."""

    def __init__(
        self, run: TrainingRun, timing: Timing, guard: UpdateGuard, note: Callable[[str], None]
    ) -> None:
        self.spoiled = False
        """Whether the weights were found not to be finite, and were not saved."""
        self._run, self._timing, self._guard = run, timing, guard
        self._saver = Saver(self._run.folder.path, self._run.folder.require)
        self._refusals = Refusals(note)
        self._model_is_due = False
        self._models_waiting = 0

    def checkpoint(self, *, decays: bool = False, anew: bool = False, at_last: bool = False) -> None:
        """Hand a checkpoint of this moment to the saver.

        ``decays``: the decay of the learning rate begins here; ``anew``: the run went back to here, or has
        another budget from here on; ``at_last``: the session ends here.
        """
        run, state, timing = self._run, self._run.state, self._timing
        must = at_last or anew or decays or not state.span.by_clock
        if (self._guard.in_trouble and not (at_last or anew)) or (self._saver.busy and not must):
            return
        with timing.phase("saving"):
            self.wait()
            self.collect()
            arrays = {**run.backend.snapshot(), **carried_arrays(run)}
            self.spoiled = not all_finite(arrays)
            # Off the grid the next losses tell, as they do where nothing is saved at this step.
            here = timing.rhythm.recovers_here(state.step, timing.clock.seconds)
            unsaved, self.spoiled = self.spoiled, self.spoiled and here
            if unsaved:
                return
            if decays:
                state.decay_begins()
            if here and not self._guard.in_trouble:
                state.add_good()
            state.record(timing.clock.seconds, self._guard.spec(), run.keep_best.best)
            self._saver.checkpoint(
                state.step,
                arrays,
                state.spec(),
                also=state.needed_checkpoints,
                keep=1 if state.finished else KEPT,
            )
        timing.rhythm.saved(state.step, timing.clock.seconds)
        if self._model_is_due or run.keep_best.judges_nothing:
            self.model()

    def model(self, evaluation: Evaluation | None = None) -> None:
        """Hand the best weights (the last ones, if nothing is held out) to the saver as a model file."""
        run, keep = self._run, self._run.keep_best
        if keep.judges_nothing:
            keep.keep_last(run.backend)
        made = keep.model_file(
            card(run.state, keep.best, evaluation, run.prepared.facts, run.parameters, keep.peaks)
        )
        if made is None:
            return
        if self._models_waiting >= MOST_WAITING:
            self.wait()
            self.collect()
        self._models_waiting += 1
        self._model_is_due = False
        self._saver.model(run.state.step, run.folder.model, made)

    def collect(self) -> list[StorageError]:
        """Collect the outcomes of saving; failures are reported and returned."""
        failed = []
        for outcome in self._saver.outcomes():
            self._refusals.hear(outcome)
            self._models_waiting -= outcome.what == "model"
            if outcome.error is None:
                if outcome.what == "checkpoint":
                    self._timing.costs.saved(outcome.seconds)
                continue
            failed.append(outcome.error)
            if outcome.what == "model":
                self._model_is_due = True
            else:
                self._run.state.remove_good(outcome.step)
        return failed

    def surely(self, give: Callable[[], None]) -> None:
        """Call ``give``, which hands something to the saver, and wait until it is on the disk.

        ``StorageError`` of the disk if it refuses every attempt.
        """
        for attempt in range(LAST_TRIES):
            if attempt:
                time.sleep(BETWEEN_TRIES)
            with self._timing.phase("saving"):
                give()
                self.wait()
            failed = self.collect()
            if not failed:
                return
        raise failed[-1]

    def wait(self) -> None:
        """Until everything that was handed over is written."""
        self._saver.wait()

    def close(self) -> None:
        """Let the saver's thread end when its work is done."""
        self._saver.close()


class Refusals:
    """Tells the outcomes of saving that a person should know."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._in_a_row: dict[str, int] = {}

    def hear(self, outcome: Outcome) -> None:
        """Take note of one outcome, and say what is new."""
        count = self._in_a_row.get(outcome.what, 0)
        if outcome.error is None:
            self._in_a_row[outcome.what] = 0
            if count > 1:
                self._note(
                    f"saving works again: {outcome.what} of step {outcome.step:,}, after {count:,} failures"
                )
            return
        count += 1
        self._in_a_row[outcome.what] = count
        if count == 1:
            self._note(
                f"SAVING FAILED, {outcome.what} of step {outcome.step:,}: {outcome.error}; "
                "what was saved before is whole, training goes on and tries again"
            )
        elif count in LOUD:
            self._note(
                f"SAVING FAILED {count:,} times in a row, {outcome.what} of step {outcome.step:,} the last"
            )
