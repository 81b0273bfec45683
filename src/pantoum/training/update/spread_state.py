"""The carried state of all streams where each rank keeps the rows that it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pantoum.network.state import NetworkState

__all__ = ["SpreadState"]


@dataclass(frozen=True, eq=False)
class SpreadState(NetworkState):
    """The rows of this rank; those of the others stay there. ``copy`` gathers the state of all streams."""

    all_finite: bool
    """Whether the states of all streams on all ranks are finite."""
    number: int = 0
    """Which state of the run it is: every rank knows its rows by this number."""
    gather: Callable[[], NetworkState] | None = None
    """Gathers the state of all streams; rank 0 has it."""

    @property
    def finite(self) -> bool:
        """Whether every number of every rank is finite."""
        return self.all_finite

    def copy(self) -> NetworkState:
        """The state of all streams, gathered from all ranks."""
        assert self.gather is not None
        return self.gather()
