"""The interface between the loop and the arithmetic: what the loop may ask, and the answer on one machine.

A step is two calls, because the guard decides between them: ``gradients`` computes and keeps what an update
needs, ``update`` applies it. Weights change in ``update`` and ``restore`` only. ``snapshot`` is a copy of all
arrays that a resumed run needs (weights, averaged weights, moments, the gradients' scale, counters), taken
between steps; the loop adds the rest (cursor, carried state, the record of the guard) itself.

B streams, T time steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pantoum.data.batches import Batch
from pantoum.kernels import Array
from pantoum.network.network_state import NetworkState
from pantoum.network.program import BatchResult
from pantoum.training.update.learner import MemberLearner
from pantoum.training.update.members import Members
from pantoum.training.update.rank_sums import RankSums
from pantoum.training.update.shards import Shards

__all__ = ["Backend", "LocalBackend", "SharedBackend", "SpreadState", "StepResult"]


@dataclass(frozen=True)
class StepResult:
    """What a step found out; the gradients themselves stay with the backend."""

    loss: float
    """Mean nats per target, before the update, with dropout."""
    accuracy: float
    gradient_norm: float
    """The norm of all gradients before clipping; for an ensemble, the root mean square over members."""
    state: NetworkState
    """What each stream hands to its next batch."""


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


class Backend(Protocol):
    """All that the loop knows of the arithmetic."""

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""

    def gradients(self, batch: Batch, state: NetworkState, step: int, streams: Array) -> StepResult:
        """Forward and backward over a batch; ``step`` and global ``streams`` number the random draws."""

    def update(self, rate: float, clip: float | None) -> None:
        """Apply the gradients of the last call."""

    def weights(self, averaged: bool) -> Mapping[str, Array] | None:
        """The parameters, or their running average (``None`` without one): to be copied to be kept."""

    def gradient_scale(self) -> dict[str, Array]:
        """The usual size of each row of each gradient, by parameter name; fresh arrays."""

    def snapshot(self) -> dict[str, Array]:
        """Copies of all arrays that ``restore`` needs."""

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put everything back to a snapshot; a missing or misshapen array is a CheckpointError."""


class SharedBackend(Backend, Protocol):
    """A backend that several ranks may share, each with some rows of every batch."""

    @property
    def shards(self) -> int:
        """How many parts each batch has; at most so many ranks."""
        ...

    def join(self, together: RankSums) -> None:
        """From now on train with other ranks: batches, states and streams are this rank's rows of each."""

    def collect(self) -> None:
        """Make the arrays of ``snapshot`` right on every rank; every rank calls it."""


class LocalBackend(Members[MemberLearner]):
    """The one implementation for one process: a learner for each member, all of one shape."""

    def __init__(self, learners: Sequence[MemberLearner], shards: int = 1) -> None:
        """``shards``: parts of each batch, at most its streams."""
        super().__init__(learners[0].model.config, learners)
        self.shards = shards
        self._together: RankSums | None = None

    def join(self, together: RankSums) -> None:
        """From now on train with other ranks: batches, states and streams are this rank's rows of each."""
        self._together = together
        for learner in self.learners:
            learner.share_out(together.ranks)

    def collect(self) -> None:
        """Make the arrays of ``snapshot`` right on every rank; every rank calls it."""
        for learner in self.learners:
            learner.collect()

    @property
    def updates(self) -> int:
        """Updates done."""
        return self.learners[0].updates

    @property
    def parameters(self) -> dict[str, Array]:
        """The weights of all members: the very arrays in use."""
        return {
            self._prefix(place) + name: array
            for place, learner in enumerate(self.learners)
            for name, array in learner.model.parameters.items()
        }

    def gradients(self, batch: Batch, state: NetworkState, step: int, streams: Array) -> StepResult:
        """Forward and backward over this rank's rows of a batch, member by member and shard by shard."""
        together = self._together
        shards = Shards(len(batch.inputs_BT), self.shards) if together is None else together.shards
        targets = shards.batch_size * batch.inputs_BT.shape[1]
        found = list[list[BatchResult]]()
        for learner, own in zip(self.learners, self.parts(state), strict=True):
            results, sums = learner.gradients(batch, own, step, streams, shards, together)
            total = sums[shards.root] if together is None else together.total(sums)
            learner.take(total, targets)
            found.append(results)
        after = self.joined([NetworkState.joined([each.state for each in own]) for own in found])
        facts = [[[each.loss, each.accuracy] for each in own] for own in found]
        if together is not None:
            facts, finite = together.all_facts(facts, after.finite)
            after = SpreadState(after.arrays, finite)
        return StepResult(
            loss=float(np.mean([shards.mean([loss for loss, _ in own]) for own in facts])),
            accuracy=float(np.mean([shards.mean([accuracy for _, accuracy in own]) for own in facts])),
            gradient_norm=self.gradient_norm,
            state=after,
        )
