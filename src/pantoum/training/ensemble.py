"""Several models trained side by side on the same batches, each from its own seed, and kept as one.

What a text leaves undecided each model decides in its own way; their mean is better than any of them. Each
member is a ``LocalBackend``: it has its own weights, moments, dropout and carried state, and clips its own
gradient. Towards the loop they are one ``Backend``: losses are the members' mean, weights those of the joined
model (``network.ensemble``), the arrays of a snapshot stand under ``memberN.``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pantoum.network.ensemble import join, join_scales
from pantoum.training.backend import LocalBackend, State, StepResult

__all__ = ["EnsembleBackend"]

Array = npt.NDArray[Any]


class EnsembleBackend:
    """A ``Backend`` of several, all of one shape."""

    def __init__(self, members: Sequence[LocalBackend]) -> None:
        self.members = tuple(members)
        self._config = members[0].model.config

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned: the zeros beside the blocks are not counted."""
        return sum(member.num_parameters for member in self.members)

    def initial_state(self, batch_size: int) -> State:
        """The zero states, a member's beside the other's."""
        return tuple(member.initial_state(batch_size) for member in self.members)

    def gradients(
        self, inputs_BT: Array, targets_BT: Array, reset_BT: Array, state: State, step: int, streams: Array
    ) -> StepResult:
        """Forward and backward of each; the norm is the root of their mean square."""
        found = [
            member.gradients(inputs_BT, targets_BT, reset_BT, own, step, streams)
            for member, own in zip(self.members, state, strict=True)
        ]
        return StepResult(
            loss=float(np.mean([each.loss for each in found])),
            accuracy=float(np.mean([each.accuracy for each in found])),
            gradient_norm=math.sqrt(float(np.mean([each.gradient_norm**2 for each in found]))),
            state=tuple(each.state for each in found),
        )

    def update(self, rate: float, clip: float | None) -> None:
        """One step of each."""
        for member in self.members:
            member.update(rate, clip)

    def weights(self, averaged: bool) -> Mapping[str, Array] | None:
        """The joined model's parameters, fresh arrays."""
        parts = [member.weights(averaged) for member in self.members]
        known = [part for part in parts if part is not None]
        return join(self._config, known) if len(known) == len(parts) else None

    def gradient_scale(self) -> dict[str, Array]:
        """The usual size of each row of each gradient of the joined model."""
        return join_scales(self._config, [member.gradient_scale() for member in self.members])

    def snapshot(self) -> dict[str, Array]:
        """Copies of all members' arrays."""
        return {
            f"member{place}.{name}": array
            for place, member in enumerate(self.members)
            for name, array in member.snapshot().items()
        }

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put every member back."""
        for place, member in enumerate(self.members):
            prefix = f"member{place}."
            member.restore(
                {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
            )
