"""Checkpoints and the best model's file: when they are written, and what a disk that refuses changes.

The ``Saver`` writes both in a thread of its own. A refusal is reported (the first in full, then a count, then
that saving works again) and the write is tried again; what was saved before it is still complete.

A copy is handed over to the thread. Jobs are done one at a time, in the order given: checkpoints, and the
best model's file. The loop is held up for the copy alone, or, where it saves faster than the disk writes, for
the job before. What failed is told by ``outcomes``; nothing is raised here for a disk that is full, because
the run goes on and tries again.

What the formats write is whole at every instant, so the thread is a daemon: whoever must leave at once (a
second Ctrl-C) leaves, and the checkpoint before stands.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pantoum.config.plain import Plain
from pantoum.errors import StorageError
from pantoum.formats import checkpoint, model_file
from pantoum.inference.evaluation import Evaluation
from pantoum.kernels import Array
from pantoum.training.assembly import TrainingRun, carried_arrays
from pantoum.training.result import card
from pantoum.training.timing import Timing
from pantoum.training.update.update_guard import UpdateGuard

__all__ = ["Outcome", "Refusals", "Saver", "Saving", "all_finite"]


KEPT = 3
"""Checkpoints that stay, beside those named."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    what: str
    """``checkpoint`` or ``model``."""
    step: int
    seconds: float
    error: StorageError | None = None


class Saver:
    """The thread that writes a run's files."""

    def __init__(self, run_folder: Path, require: Callable[[], None] = lambda: None) -> None:
        """``require`` is asked before each job and raises if the folder is not the run's any more."""
        self._folder, self._require = run_folder, require
        self._jobs: queue.Queue[tuple[str, int, Callable[[], object]] | None] = queue.Queue()
        self._done: queue.Queue[Outcome | BaseException] = queue.Queue()
        self._idle = threading.Event()
        self._idle.set()
        self._pending = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether something is still being written."""
        return not self._idle.is_set()

    def checkpoint(
        self,
        step: int,
        arrays: Mapping[str, Array],
        state: Mapping[str, Plain],
        *,
        also: Collection[int] = (),
        keep: int = KEPT,
    ) -> None:
        """Commit a checkpoint of copies that no one changes, and prune."""
        kept = set(also)

        def job() -> None:
            checkpoint.commit(self._folder, step, arrays, state)
            checkpoint.prune(self._folder, keep=keep, also=kept)

        self._give("checkpoint", step, job)

    def model(self, step: int, path: Path, model: model_file.ModelFile) -> None:
        """Write the best model's file from copies that no one changes."""
        self._give("model", step, lambda: model_file.write(path, model))

    def wait(self) -> None:
        """Until everything given is done; a signal's handler can break off the waiting."""
        self._idle.wait()

    def outcomes(self) -> list[Outcome]:
        """What was done since the last call. An error that is no refusal of the disk is raised."""
        found = []
        while not self._done.empty():
            done = self._done.get_nowait()
            if not isinstance(done, Outcome):
                raise done
            found.append(done)
        return found

    def close(self) -> None:
        """Let the thread end when its work is done. If nothing is being written, it has ended on return."""
        if self._thread is not None:
            self._jobs.put(None)
            if not self.busy:
                self._thread.join()
            self._thread = None

    def _give(self, what: str, step: int, job: Callable[[], object]) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="pantoum-saver", daemon=True)
            thread.start()  # where the machine gives no thread there is none to wait for
            self._thread = thread
        with self._lock:
            self._pending += 1
            self._idle.clear()
        self._jobs.put((what, step, job))

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            what, step, job = given
            began = time.perf_counter()
            try:
                self._require()
                job()
                self._done.put(Outcome(what, step, time.perf_counter() - began))
            except StorageError as refusal:
                self._done.put(Outcome(what, step, time.perf_counter() - began, refusal))
            except BaseException as problem:  # not the disk's doing: raised where someone can see it
                self._done.put(problem)
            del given, job  # and with it the copies that it wrote: the next job may be long in coming
            with self._lock:
                self._pending -= 1
                if self._pending == 0:
                    self._idle.set()


def all_finite(arrays: Mapping[str, Array]) -> bool:
    """Whether every number is finite. The sum of an array is not finite if one of its numbers is not; a sum
    that overflows by itself is looked at closer."""
    with np.errstate(over="ignore", invalid="ignore"):
        return all(
            bool(np.isfinite(array.sum()) or np.isfinite(array).all())
            for array in arrays.values()
            if array.dtype.kind == "f"
        )


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
        timing.rhythm.done("saving", timing.clock.seconds)
        if self._model_is_due or run.keep_best.judges_nothing:
            self.model()

    def model(self, evaluation: Evaluation | None = None) -> None:
        """Hand the best weights (the last ones, if nothing is held out) to the saver as a model file."""
        run, keep = self._run, self._run.keep_best
        if keep.judges_nothing:
            keep.keep_last(run.backend)
        run.state.has_taken(self._timing.clock.seconds)
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
