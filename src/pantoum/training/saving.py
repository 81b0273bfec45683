"""Checkpoints and the best model's file: when they are written, and what a disk that refuses changes.

The ``Saver`` writes both in a thread of its own. A refusal is reported and the write is tried again; what was
saved before it is still complete.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pantoum.errors import StorageError
from pantoum.inference.evaluate import Evaluation
from pantoum.training.assembly import carried_arrays
from pantoum.training.moment import Moment
from pantoum.training.run.card import card
from pantoum.training.run.checkpointing import KEPT, Saver, all_finite
from pantoum.training.run.refusals import Refusals
from pantoum.training.run_session import RunSession

__all__ = ["Saving"]

LAST_TRIES, BETWEEN_TRIES = 3, 0.5
"""Attempts to save at the end of a session, and the seconds between them."""
MOST_WAITING = 2
"""Model files that may wait for the disk, each with a copy of the weights."""


class Saving:
    """Saves for one session of a run."""

    def __init__(self, session: RunSession) -> None:
        self.spoiled = False
        """Whether the weights were found not to be finite, and were not saved."""
        self._session, self._run = session, session.run
        self._saver = Saver(self._run.folder.path, self._run.folder.require)
        self._refusals = Refusals(session.reporter.note)
        self._model_is_due = False
        self._models_waiting = 0

    # Hooks. ---------------------------------------------------------------------------------------------

    def wait_where_due(self, now: Moment) -> None:
        """With steps, wait for the save before this one, so that a crash loses at most one interval."""
        if not self._by_clock and self._session.rhythm.saving_due(now.step, now.seconds):
            self.wait()

    def save_if_due(self, now: Moment) -> None:
        """A checkpoint where the rhythm asks for one, and one where the decay of the learning rate begins."""
        decays = self._run.state.decay_step is None and self._session.decays
        if decays or self._session.rhythm.saving_due(now.step, self._session.clock.seconds):
            self.checkpoint(decays=decays)

    # What they do. --------------------------------------------------------------------------------------

    def checkpoint(self, *, decays: bool = False, anew: bool = False, at_last: bool = False) -> None:
        """Hand a checkpoint of this moment to the saver.

        ``decays``: the decay of the learning rate begins here; ``anew``: the run went back to here, or has
        another budget from here on; ``at_last``: the session ends here.
        """
        run, state, session = self._run, self._run.state, self._session
        must = at_last or anew or decays or not self._by_clock
        if (session.guard.in_trouble and not (at_last or anew)) or (self._saver.busy and not must):
            return
        with session.phase("saving"):
            self.wait()
            self.collect()
            arrays = {**run.backend.snapshot(), **carried_arrays(run)}
            self.spoiled = not all_finite(arrays)
            # Off the grid the next losses tell, as they do where nothing is saved at this step.
            here = session.rhythm.recovers_here(state.step, session.clock.seconds)
            unsaved, self.spoiled = self.spoiled, self.spoiled and here
            if unsaved:
                return
            if decays:
                state.decay_begins()
            if here and not session.guard.in_trouble:
                state.add_good()
            state.record(session.clock.seconds, session.guard.spec(), run.keep_best.best)
            self._saver.checkpoint(
                state.step,
                arrays,
                state.spec(),
                also=state.needed_checkpoints,
                keep=1 if state.finished else KEPT,
            )
        session.rhythm.saved(state.step, session.clock.seconds)
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
                    self._session.costs.saved(outcome.seconds)
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
            with self._session.phase("saving"):
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

    @property
    def _by_clock(self) -> bool:
        return self._run.state.span.by_clock
