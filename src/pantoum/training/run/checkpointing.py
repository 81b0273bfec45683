"""Saving while training goes on: a copy is handed over, and a thread writes it to the disk.

Jobs are done one at a time, in the order given: checkpoints, and the best model's file. The loop is held
up for the copy alone, or, where it saves faster than the disk writes, for the job before. What failed is
told by ``outcomes``; nothing is raised here for a disk that is full, because the run goes on and tries again.

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
from pantoum.kernels import Array

__all__ = ["KEPT", "Outcome", "Saver", "all_finite"]

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
