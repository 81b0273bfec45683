"""The ranks of this process: alone, or those that a launcher has started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pantoum.config.launcher import launched_rank
from pantoum.errors import RankError, SettingError
from pantoum.ranks.interface import Ranks
from pantoum.ranks.single import SingleRank

__all__ = ["TIMEOUT", "open_ranks", "time_limit"]

TIMEOUT = 60.0
"""Seconds without a sign of life after which a rank counts as dead."""


@contextmanager
def open_ranks() -> Iterator[Ranks]:
    """The ranks of this process, while inside."""
    rank = launched_rank()
    if rank is None:
        yield SingleRank()
        return
    limit = time_limit()
    try:
        from pantoum.ranks.mpi import MpiRanks
    except ImportError as problem:
        raise RankError(
            f"an MPI launcher has started this process as rank {rank}, but mpi4py cannot be imported "
            f"({problem}); pip install 'pantoum[mpi]', or set PANTOUM_LAUNCHER=none to train alone"
        ) from None
    ranks = MpiRanks(limit)
    try:
        yield ranks
    finally:
        ranks.close()


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
