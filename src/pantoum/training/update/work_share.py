"""Work that ranks share: each does some of the tasks, and all get the results."""

from __future__ import annotations

from collections.abc import Sequence

from pantoum.kernels import Array
from pantoum.ranks.interface import Ranks

__all__ = ["WorkShare"]


class WorkShare:
    """Divides tasks among ranks by their costs, in the same way on every rank."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    def owners(self, costs: Sequence[float]) -> list[int]:
        """The rank of each task: the costliest task first, to the rank with the least work so far."""
        work, found = [0.0] * self._ranks.count, [0] * len(costs)
        for task in sorted(range(len(costs)), key=lambda task: (-costs[task], task)):
            rank = work.index(min(work))
            found[task] = rank
            work[rank] += costs[task]
        return found

    def own(self, owners: Sequence[int]) -> list[int]:
        """The tasks of this rank."""
        return [task for task, rank in enumerate(owners) if rank == self._ranks.rank]

    def spread(self, arrays: Sequence[Array], owners: Sequence[int]) -> None:
        """Each array goes from its owner to all other ranks, into the array at its place there."""
        ranks = self._ranks
        held = list(zip(arrays, owners, strict=True))
        outgoing = [
            (rank, array)
            for rank in range(ranks.count)
            if rank != ranks.rank
            for array, owner in held
            if owner == ranks.rank
        ]
        ranks.exchange(outgoing, [(owner, array) for array, owner in held if owner != ranks.rank]).wait()
