"""Checkpoints and the file of the best model: when they are written, and what a disk that refuses changes.

The loop writes them itself: a checkpoint of 2 to 30 MB takes 5 to 60 ms of the processor. A refusal of the
disk is reported (the first in full, then a count, then that saving works again) and does not stop the run:
the next save tries again, and what was saved before is whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from pantoum.errors import CheckpointError, StorageError
from pantoum.formats import checkpoint, model_file
from pantoum.formats.checkpoint import Checkpoint
from pantoum.inference.evaluation import Evaluation
from pantoum.kernels import Array
from pantoum.training.assembly import TrainingRun, carried_arrays
from pantoum.training.result import card
from pantoum.training.run.run_state import RunState
from pantoum.training.timing import Timing
from pantoum.training.update.update_guard import UpdateGuard

KEPT = 3
"""Checkpoints that stay, beside those named."""
LAST_TRIES, BETWEEN_TRIES = 3, 0.5
"""Attempts to save at the end of a session, and the seconds between them."""
LOUD = (10, 100, 1000, 10_000)
"""Failures in a row after which the count is said."""


class Saving:
    """Saves for one session of a run."""

    def __init__(
        self, run: TrainingRun, timing: Timing, guard: UpdateGuard, note: Callable[[str], None]
    ) -> None:
        self.spoiled = False
        """Whether the weights were found not to be finite, and were not saved."""
        self._run, self._timing, self._guard, self._note = run, timing, guard, note
        self._failures = {"checkpoint": 0, "model": 0}
        """Failures in a row."""

    def checkpoint(self, *, decays: bool = False, anew: bool = False, surely: bool = False) -> None:
        """Write a checkpoint of this moment.

        ``decays``: the decay of the learning rate begins here; ``anew``: the run went back to here, or has
        another budget from here on; ``surely``: a session begins or ends here, so it is tried several times,
        and a refusal of the disk is raised.
        """
        run, state, timing = self._run, self._run.state, self._timing
        if self._guard.in_trouble and not (surely or anew):
            return
        with timing.phase("saving"):
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

            def write() -> None:
                checkpoint.commit(run.folder.path, state.step, arrays, state.spec())
                keep = 1 if state.finished else KEPT
                run.folder.require()  # those of another run must not be taken for void ones
                checkpoint.prune(run.folder.path, state.step, keep, state.needed_checkpoints)

            began = time.perf_counter()
            if self._written("checkpoint", write, surely=surely):
                timing.costs.saved(time.perf_counter() - began)
            else:
                state.remove_good(state.step)
        timing.rhythm.done("saving", timing.clock.seconds)
        if self._failures["model"] or run.keep_best.judges_nothing:
            self.model()

    def model(self, evaluation: Evaluation | None = None, *, surely: bool = False) -> None:
        """Write the best weights (the last ones, if nothing is held out) as a model file."""
        run, keep = self._run, self._run.keep_best
        if keep.judges_nothing:
            keep.keep_last(run.backend)
        run.state.has_taken(self._timing.clock.seconds)
        made = keep.model_file(
            card(run.state, keep.best, evaluation, run.prepared.facts, run.parameters, keep.peaks)
        )
        if made is not None:
            with self._timing.phase("saving"):
                self._written("model", lambda: model_file.write(run.folder.model, made), surely=surely)

    def _written(self, what: str, write: Callable[[], object], *, surely: bool) -> bool:
        """Call ``write``, and say what is new about how the disk takes it."""
        for attempt in range(LAST_TRIES if surely else 1):
            if attempt:
                time.sleep(BETWEEN_TRIES)
            self._run.folder.require()
            try:
                write()
            except StorageError as refusal:
                self._refused(what, refusal)
                problem = refusal
                continue
            if self._failures[what] > 1:
                self._note(
                    f"saving works again: {what} of step {self._run.state.step:,}, after "
                    f"{self._failures[what]:,} failures"
                )
            self._failures[what] = 0
            return True
        if surely:
            raise problem
        return False

    def _refused(self, what: str, refusal: StorageError) -> None:
        self._failures[what] += 1
        count, step = self._failures[what], self._run.state.step
        if count == 1:
            self._note(
                f"SAVING FAILED, {what} of step {step:,}: {refusal}; what was saved before is intact; "
                "training goes on and tries again"
            )
        elif count in LOUD:
            self._note(f"SAVING FAILED {count:,} times in a row, {what} of step {step:,} the last")


def all_finite(arrays: Mapping[str, Array]) -> bool:
    """Whether every number is finite. The sum of an array is not finite if one of its numbers is not; a sum
    that overflows by itself is looked at closer."""
    with np.errstate(over="ignore", invalid="ignore"):
        return all(
            bool(np.isfinite(array.sum()) or np.isfinite(array).all())
            for array in arrays.values()
            if array.dtype.kind == "f"
        )


def go_back(folder: Path, now: RunState, note: Callable[[str], None]) -> tuple[Checkpoint, RunState] | None:
    """The last good checkpoint before the state ``now``, and its state; ``None``: there is none.

    One that does not verify is said, and the good one before it is taken, then any other that verifies. If
    the list is empty there is none, whatever was saved for other reasons: the start depends on no stop."""
    if not now.good:
        return None
    others = [step for step in checkpoint.steps(folder) if step <= now.step and step not in now.good]
    for candidate in (*reversed(now.good), *reversed(others)):
        try:
            found = checkpoint.read(folder, candidate)
            state = RunState.of(found)
            state.require_run(now.run, found.path)
        except CheckpointError as problem:
            note(f"recovery skips the checkpoint of step {candidate:,}: {problem}")
            continue
        if not state.in_trouble:
            return found, state
    return None
