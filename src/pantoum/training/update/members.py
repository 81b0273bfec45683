"""The members of an ensemble as one model, for any engine: what ``backend`` of every engine does in one way.

Towards the loop an ensemble is one model: losses are the mean over the members, weights those of the joined
model (``network.ensemble``), arrays of a snapshot stand under ``memberN.``. A single model is one member.

Shapes: B streams.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from pantoum.config import ModelConfig
from pantoum.kernels import Array
from pantoum.network.ensemble import join, join_scales, join_states, part_states
from pantoum.network.network_state import NetworkState
from pantoum.network.parameters import under

__all__ = ["Members"]


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
