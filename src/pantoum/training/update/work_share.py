"""Work that ranks share: each does some of the tasks, and all get the results."""

from __future__ import annotations

from collections.abc import Sequence

from pantoum.kernels import Array
from pantoum.ranks.interface import Ranks

__all__ = ["shared_out", "spread"]


def shared_out(costs: Sequence[float], count: int) -> list[int]:
    """Which of so many ranks does each task: the costliest task first, to the rank with the least work so
    far. Every rank finds the same."""
    work, found = [0.0] * count, [0] * len(costs)
    for task in sorted(range(len(costs)), key=lambda task: (-costs[task], task)):
        rank = work.index(min(work))
        found[task] = rank
        work[rank] += costs[task]
    return found


def spread(ranks: Ranks, arrays: Sequence[Array], owners: Sequence[int]) -> None:
    """Each array goes from its owner to all other ranks, into the array at its place there."""
    held = list(zip(arrays, owners, strict=True))
    outgoing = [
        (rank, array)
        for rank in range(ranks.count)
        if rank != ranks.rank
        for array, owner in held
        if owner == ranks.rank
    ]
    ranks.exchange(outgoing, [(owner, array) for array, owner in held if owner != ranks.rank])()
