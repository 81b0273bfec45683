"""The ranks of this process: alone, or those that a launcher has started."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from pantoum.config.launcher import launched_count, launched_rank, tasks_of_a_step, unused_tasks
from pantoum.errors import RankError, SettingError
from pantoum.ranks.interface import Ranks, SingleRank

__all__ = ["TIMEOUT", "open_ranks", "time_limit"]

TIMEOUT = 60.0
"""Seconds without a sign of life after which a rank counts as dead."""


@contextmanager
def open_ranks(started: Callable[[float], Ranks] | None = None) -> Iterator[Ranks]:
    """The ranks of this process, while inside. ``started``: makes those of another launcher than MPI's, from
    the time limit."""
    if started is not None:
        with closing(started(time_limit())) as ranks:
            yield ranks
        return
    rank = launched_rank()
    if rank is None:
        _require_alone()
        yield SingleRank()
        return
    limit = time_limit()
    try:
        from pantoum.ranks.mpi import MpiRanks
    except (ImportError, RuntimeError) as problem:  # RuntimeError: it finds no MPI
        reason = str(problem).partition("\n")[0]
        raise RankError(
            f"an MPI launcher has started this process as rank {rank}, but mpi4py cannot be imported "
            f"({reason}); pip install 'pantoum[mpi]' and an MPI, or set "
            "PANTOUM_LAUNCHER=none to train alone"
        ) from None
    with closing(MpiRanks(limit)) as ranks:
        if ranks.count == 1 < launched_count():
            raise RankError(
                f"a launcher has started this process as rank {rank} among others, but mpi4py finds no "
                "other, so that each would train a model of its own; start the ranks with the launcher of "
                "the MPI that mpi4py uses, or set PANTOUM_LAUNCHER=none to train alone"
            )
        yield ranks


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
            f"this Slurm job has {count} tasks, and one trains; `srun --mpi=pmix pantoum train` uses all",
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
