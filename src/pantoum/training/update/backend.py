"""The interface between the loop and the arithmetic: what the loop may ask, and the answer of the core.

A step is two calls, because the guard decides between them: ``gradients`` computes and keeps what an update
needs, ``update`` applies it. Weights change in ``update`` and ``restore`` only. ``snapshot`` is a copy of all
arrays that a resumed run needs (weights, averaged weights, moments, the gradients' scale, counters), taken
between steps; the loop adds the rest (cursor, carried state, the record of the guard) itself.

Towards the loop an ensemble is one model (``Members``): losses are the mean over the members, weights those
of the joined model (``network.ensemble``), arrays of a snapshot stand under ``memberN.``.

An *engine* (``TrainingEngine``) may take the place of the core, or share its work among several processes. It
makes its backend from that of the core, so every run begins with the same arrays.

B streams, T time steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from pantoum.config import ModelConfig
from pantoum.data.batches import Batch
from pantoum.kernels import Array
from pantoum.network.ensemble import join, join_scales, join_states, part_states
from pantoum.network.network_state import NetworkState
from pantoum.network.parameters import under
from pantoum.network.program import BatchResult
from pantoum.training.update.learner import MemberLearner
from pantoum.training.update.shards import Shards, Share
from pantoum.training.update.symbols import Symbols

if TYPE_CHECKING:
    from pantoum.training.recipe.recipe import Recipe


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
    finite: bool
    """Whether the states of all streams are finite."""


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
    """A backend that several processes may share, each with some rows of every batch."""

    def join(self, share: Share) -> None:
        """From now on train with other processes: batches, states and streams are this one's rows of each."""

    def collect(self) -> None:
        """Make the arrays of ``snapshot`` right in every process; every process calls it."""


class TrainingEngine(Protocol):
    """What trains in place of the core in one process."""

    name: str
    """What all processes of a run must have in common."""
    note: str
    """What a person should know of the run; empty: nothing."""
    processes: int
    """How many processes train."""
    own_memory: bool
    """Whether it does not train in the memory of this machine."""

    def take_over(
        self, local: LocalBackend, recipe: Recipe, vocab_size: int, batch_size: int, symbols: Symbols
    ) -> Backend:
        """A backend of this recipe with all arrays of the core's."""
        ...


class Trained(Protocol):
    """A member that trains."""

    gradient_norm: float
    """The norm of all gradients of the last batch together, before clipping."""

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""
        ...

    def update(self, rate: float, clip: float | None) -> None:
        """Apply the gradients of the last batch."""

    def weights(self, averaged: bool) -> Mapping[str, Array] | None:
        """The parameters, or their running average (``None`` without one)."""
        ...

    def gradient_scale(self) -> dict[str, Array]:
        """The usual size of each row of each gradient."""
        ...

    def arrays(self) -> dict[str, Array]:
        """All that a checkpoint keeps; the arrays may be the very ones in use."""
        ...

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put everything back, in place."""


Learner = TypeVar("Learner", bound=Trained)


class Members(Generic[Learner]):
    """One model made of members of one shape, each with a learner."""

    def __init__(self, config: ModelConfig, learners: Sequence[Learner]) -> None:
        """``config``: the shape of one member."""
        self.learners = tuple(learners)
        self._config = config

    @property
    def gradient_norm(self) -> float:
        """The norm of the gradients of the last batch; of several members the root mean square."""
        norms = [learner.gradient_norm for learner in self.learners]
        return norms[0] if len(norms) == 1 else math.sqrt(float(np.mean([norm**2 for norm in norms])))

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""
        return self.joined([learner.initial_state(batch_size) for learner in self.learners])

    def joined(self, states: Sequence[NetworkState]) -> NetworkState:
        """The state of the whole model from those of its members."""
        return join_states(self._config, states)

    def parts(self, state: NetworkState) -> list[NetworkState]:
        """The inverse of ``joined``."""
        return part_states(self._config, state, len(self.learners))

    def update(self, rate: float, clip: float | None) -> None:
        """One step of each member."""
        for learner in self.learners:
            learner.update(rate, clip)

    def weights(self, averaged: bool) -> Mapping[str, Array] | None:
        """The parameters of the whole model, or their running average."""
        parts = [learner.weights(averaged) for learner in self.learners]
        known = [part for part in parts if part is not None]
        return join(self._config, known) if len(known) == len(parts) else None

    def gradient_scale(self) -> dict[str, Array]:
        """The usual size of each row of each gradient of the whole model."""
        return join_scales(self._config, [learner.gradient_scale() for learner in self.learners])

    def snapshot(self) -> dict[str, Array]:
        """Copies of the arrays of all members."""
        return {
            self._prefix(place) + name: array.copy()
            for place, learner in enumerate(self.learners)
            for name, array in learner.arrays().items()
        }

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put every member back."""
        for place, learner in enumerate(self.learners):
            learner.restore(under(self._prefix(place), arrays))

    def _prefix(self, place: int) -> str:
        return "" if len(self.learners) == 1 else f"member{place}."


class LocalBackend(Members[MemberLearner]):
    """The one implementation of the core: a learner for each member, all of one shape."""

    def __init__(self, learners: Sequence[MemberLearner], shards: int = 1) -> None:
        """``shards``: parts of each batch, at most its streams."""
        super().__init__(learners[0].model.config, learners)
        self.shards = shards
        self._share: Share | None = None

    def join(self, share: Share) -> None:
        """From now on train with other processes: batches, states and streams are this one's rows of each."""
        self._share = share
        for learner in self.learners:
            learner.join(share)

    def collect(self) -> None:
        """Make the arrays of ``snapshot`` right in every process; every process calls it."""
        for learner in self.learners:
            learner.collect()

    def gradients(self, batch: Batch, state: NetworkState, step: int, streams: Array) -> StepResult:
        """Forward and backward over this process's rows of a batch, member by member and shard by shard."""
        share = self._share
        shards = Shards(len(batch.inputs_BT), self.shards) if share is None else share.shards
        own, nodes = (shards.root, [shards.root]) if share is None else (share.own, share.nodes)
        targets = shards.batch_size * batch.inputs_BT.shape[1]
        found = list[list[BatchResult]]()
        for learner, before in zip(self.learners, self.parts(state), strict=True):
            results, sums = learner.gradients(batch, before, step, streams, shards, own, nodes)
            learner.take(sums[shards.root] if share is None else share.total(sums), targets)
            found.append(results)
        after = self.joined([NetworkState.joined([each.state for each in of_member]) for of_member in found])
        facts, finite = (
            [[[each.loss, each.accuracy] for each in of_member] for of_member in found],
            after.finite,
        )
        if share is not None:
            facts, finite = share.all_facts(facts, finite)
        return StepResult(
            loss=float(np.mean([shards.mean([loss for loss, _ in of_member]) for of_member in facts])),
            accuracy=float(np.mean([shards.mean([right for _, right in of_member]) for of_member in facts])),
            gradient_norm=self.gradient_norm,
            state=after,
            finite=finite,
        )
