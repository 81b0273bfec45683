"""A session of training on all ranks that a launcher has started: rank 0 trains, the others serve it.

Before anything is read or made, the ranks compare what they were started with: the version of pantoum, the
arithmetic, the texts and settings as given. (The text itself cannot differ: rank 0 alone reads it.) Rank 0
reports an error; the others end with one that says so. Whatever breaks in the middle of an exchange cannot
be told to a rank that waits in it, so it ends the whole job.

A rank other than 0 does what rank 0 commands (``backend``), until rank 0 has ended. It reads no text, writes
no file and tells nobody anything. A signal to stop is left to rank 0, which gets it from the launcher, too,
and saves a checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from pantoum.apps.ranks.backend import RankedBackend, Worker, command, next_command
from pantoum.apps.ranks.transport import Ranks, gather
from pantoum.errors import PantoumError, RankError, SettingError
from pantoum.seams import (
    AUTO,
    OF_ONE_COMMAND,
    STOP_SIGNALS,
    Backend,
    LocalBackend,
    Recipe,
    RunResult,
    SharedBackend,
    Symbols,
    TrainingEngine,
    TrainSettings,
    launched_count,
    launched_rank,
    tasks_of_a_step,
    torchrun_count,
    unused_tasks,
)

__all__ = ["RankGroup", "group"]

TIMEOUT = 60.0
"""Seconds without a sign of life after which a rank counts as dead."""


@contextmanager
def group() -> Iterator[RankGroup | None]:
    """The ranks of this process, while inside; ``None``: it trains alone."""
    ranks = _started()
    if ranks is None:
        yield None
        return
    with closing(ranks):
        yield RankGroup(ranks)


def _started() -> Ranks | None:
    """The ranks that ``torchrun`` or an MPI launcher has started."""
    if torchrun_count() > 1:
        from pantoum.apps.ranks.gloo import GlooRanks

        return GlooRanks(time_limit())
    rank = launched_rank()
    if rank is None:
        _require_alone()
        return None
    limit = time_limit()
    try:
        from pantoum.apps.ranks.mpi import MpiRanks
    except (ImportError, RuntimeError) as problem:  # RuntimeError: it finds no MPI
        reason = str(problem).partition("\n")[0]
        raise RankError(
            f"an MPI launcher has started this process as rank {rank}, but mpi4py cannot be imported "
            f"({reason}); pip install 'pantoum[mpi]' and an MPI, or set "
            "PANTOUM_LAUNCHER=none to train alone"
        ) from None
    ranks = MpiRanks(limit)
    if ranks.count == 1 < launched_count():
        ranks.close()
        raise RankError(
            f"a launcher has started this process as rank {rank} among others, but mpi4py finds no "
            "other, so each would train a separate model; start the ranks with the launcher of "
            "the MPI that mpi4py uses, or set PANTOUM_LAUNCHER=none to train alone"
        )
    return ranks if ranks.count > 1 else None


def _require_alone() -> None:
    """``RankError`` if Slurm has started several processes that know nothing of each other."""
    if os.environ.get("PANTOUM_LAUNCHER") == "none":
        return
    if (count := tasks_of_a_step(os.environ)) > 1:
        raise RankError(
            f"srun has started this process as task {os.environ['SLURM_PROCID']} of {count} without MPI, so "
            "that each would train a model of its own; to train one model together, start them with `srun "
            "--mpi=pmix` or with mpirun; to train one model per task, set PANTOUM_LAUNCHER=none"
        )
    if (count := unused_tasks(os.environ)) > 1:
        warnings.warn(
            f"this Slurm job has {count} tasks, but only one trains; "
            "`srun --mpi=pmix pantoum train` uses all",
            UserWarning,
            stacklevel=2,
        )


def time_limit() -> float:
    """``PANTOUM_RANK_TIMEOUT`` in seconds, or its default."""
    text = os.environ.get("PANTOUM_RANK_TIMEOUT", "")
    try:
        seconds = float(text) if text else TIMEOUT
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds <= 86_400.0:
        raise SettingError(
            "PANTOUM_RANK_TIMEOUT", text, "must be a number of seconds from 1 to 86400", "leave it out"
        )
    return seconds


class RankGroup:
    """The ranks of this job (``training.engines``), seen by one of them."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks, self.rank = ranks, ranks.rank

    def settings(self, asked: TrainSettings) -> TrainSettings:
        """The settings of a new run on these ranks: as many shards, unless there are to be more. Of a run
        that the launcher starts again, those that it began with, and the budget that is left."""
        count = self._ranks.count
        if asked.resume:
            return asked
        if self._ranks.restarted(asked.run):
            own = {name: getattr(asked, name) for name in OF_ONE_COMMAND}
            return TrainSettings(**{**own, "run": asked.run, "resume": True})
        if asked.batch_size != AUTO and int(asked.batch_size) < count:
            raise SettingError(
                "batch_size",
                asked.batch_size,
                f"must be at least the number of ranks, {count}: each trains on different streams",
                "give a larger one, or start fewer ranks",
            )
        if asked.shards == AUTO:
            return replace(asked, shards=count)
        if int(asked.shards) < count:
            raise SettingError(
                "shards",
                asked.shards,
                f"must be at least the number of ranks, {count}",
                f"give --shards {count}, or start fewer ranks",
            )
        return asked

    def engine(self, asked: TrainSettings, instead: TrainingEngine | None) -> TrainingEngine:
        """What trains on all ranks; ``instead``: in place of the core on each."""
        if instead is not None and not hasattr(self._ranks, "add_up"):
            raise SettingError(
                "device",
                asked.device,
                "cannot be used with MPI ranks, which train with the core",
                "leave it out, or start the ranks with torchrun",
            )
        return _RankEngine(self._ranks, instead)

    def run(
        self,
        known: Mapping[str, str],
        train: Callable[[], RunResult],
        instead: Callable[[], TrainingEngine | None],
    ) -> RunResult:
        """``train`` on rank 0, while the other ranks serve it; the result, without its records on these.
        ``known``: what all ranks must have in common, by names that a person knows; ``instead``: gives what
        trains in place of the core."""
        if self.rank:
            return self._serve(known, instead)
        ranks = self._ranks
        try:
            self._compare(known)
            result = train()
        except (PantoumError, SystemExit) as problem:
            if isinstance(problem, RankError) and problem.lost:
                ranks.abort(str(problem))
            command(ranks, "end", error=str(problem), result=None)
            raise
        except BaseException as problem:
            ranks.abort(f"{ranks.place(0)}: {type(problem).__name__}: {problem}")
        command(ranks, "end", error=None, result=result.to_dict())
        return result

    def _serve(self, known: Mapping[str, str], instead: Callable[[], TrainingEngine | None]) -> RunResult:
        ranks = self._ranks
        gather(ranks, json.dumps(known).encode())
        try:
            found = work(ranks, instead)
        except RankError as problem:
            if problem.told:
                raise
            ranks.abort(str(problem) if problem.lost else f"{ranks.place(self.rank)}: {problem}")
        except BaseException as problem:
            ranks.abort(f"{ranks.place(self.rank)}: {type(problem).__name__}: {problem}")
        return RunResult.of(found, rank=self.rank)

    def _compare(self, known: Mapping[str, str]) -> None:
        """``RankError`` that names the first rank which differs from rank 0, and in what."""
        for rank, message in enumerate(gather(self._ranks, json.dumps(known).encode())):
            theirs = json.loads(message)
            for name in (*known, *theirs):
                if theirs.get(name) != known.get(name):
                    raise RankError(
                        f"{self._ranks.place(rank)} differs from rank 0: {name} is {theirs.get(name)!r} "
                        f"there and {known.get(name)!r} here; start the same command with the same pantoum "
                        "on every rank"
                    )


class _RankEngine:
    """The engine of rank 0."""

    def __init__(self, ranks: Ranks, instead: TrainingEngine | None) -> None:
        self._ranks, self._instead, self.processes = ranks, instead, ranks.count
        self.name, self.note = ("core", "") if instead is None else (instead.name, instead.note)
        self.own_memory = instead is not None and instead.own_memory

    def take_over(
        self, local: LocalBackend, recipe: Recipe, vocab_size: int, batch_size: int, symbols: Symbols
    ) -> Backend:
        """A backend that makes every call on all ranks."""
        own = _taken_over(self._instead, local, recipe, vocab_size, symbols)
        return RankedBackend(own, self._ranks, recipe, vocab_size, batch_size, symbols)


def _taken_over(
    instead: TrainingEngine | None, local: LocalBackend, recipe: Recipe, vocab_size: int, symbols: Symbols
) -> SharedBackend:
    """The backend of one rank."""
    if instead is None:
        return local
    found: Any = instead.take_over(local, recipe, vocab_size, 0, symbols)
    return found  # type: ignore[no-any-return]


def work(ranks: Ranks, instead: Callable[[], TrainingEngine | None]) -> dict[str, Any]:
    """Serve rank 0 until it ends; what it says the session came to."""
    with _signals_left_to_rank_0():
        worker = Worker(ranks, lambda *made: _taken_over(instead(), *made))
        while True:
            words = next_command(ranks)
            op = words.pop("op")
            if op == "end":
                break
            getattr(worker, op)(**words)
    if words["error"] is not None:
        raise RankError(f"rank 0 has ended: {words['error']}", told=True)
    found: dict[str, Any] = words["result"]
    return found


@contextmanager
def _signals_left_to_rank_0() -> Iterator[None]:
    """While inside, signals to stop are not heeded; in the main thread only, where Python allows it."""
    main = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)] if main else []
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
