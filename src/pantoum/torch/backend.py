"""``training.backend`` in PyTorch, on the CPU or on a GPU.

The loop, the guard, evaluation and saving know nothing of it. Snapshots have the names and shapes of the
core's, so a run can be started on one engine and resumed on the other; the losses then agree within rounding,
and no bit is promised. The loss is always that of all symbols, where the core may sample them.

B streams, T time steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pantoum.kernels import Array
from pantoum.network.ensemble import join, join_scales, join_states, part_states
from pantoum.network.language_model import seed_of
from pantoum.network.parameters import under
from pantoum.network.state import NetworkState
from pantoum.torch.convert import state_from_torch, state_to_torch
from pantoum.torch.learner import Learner
from pantoum.training.backend import StepResult
from pantoum.training.recipe import Recipe

__all__ = ["TorchBackend"]


class TorchBackend:
    """A learner for each member on one device. ``restore`` fills it."""

    def __init__(self, recipe: Recipe, vocab_size: int, device: str) -> None:
        self._config, self._device = recipe.model, device
        self._learners = [
            Learner(recipe, vocab_size, seed_of(recipe.seed, place), device)
            for place in range(recipe.members)
        ]

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return sum(tensor.numel() for learner in self._learners for tensor in learner.module.parameters())

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""
        states = [state_from_torch(each.module.initial_state(batch_size)) for each in self._learners]
        return join_states(self._config, states)

    def gradients(
        self,
        inputs_BT: Array,
        targets_BT: Array,
        reset_BT: Array,
        state: NetworkState,
        step: int,
        streams: Array,
    ) -> StepResult:
        """Forward and backward pass over a batch, member by member."""
        inputs, targets, numbers = (self._whole(each) for each in (inputs_BT, targets_BT, streams))
        resets = torch.from_numpy(np.array(reset_BT)).to(self._device) if reset_BT.any() else None
        found = []
        for learner, own in zip(
            self._learners, part_states(self._config, state, len(self._learners)), strict=True
        ):
            begun = state_to_torch(own, learner.module.head.bias.detach())
            found.append(learner.gradients(inputs, targets, resets, begun, step, numbers))
        squares = [learner.gradient_norm**2 for learner in self._learners]
        return StepResult(
            loss=float(np.mean([each.loss for each in found])),
            accuracy=float(np.mean([each.accuracy for each in found])),
            gradient_norm=math.sqrt(float(np.mean(squares))),
            state=join_states(self._config, [state_from_torch(each.state) for each in found]),
        )

    def update(self, rate: float, clip: float | None) -> None:
        """One step of each member."""
        for learner in self._learners:
            learner.update(rate, clip)

    def weights(self, averaged: bool) -> Mapping[str, Array] | None:
        """The parameters of the whole model, or their running average."""
        parts = [learner.weights(averaged) for learner in self._learners]
        known = [part for part in parts if part is not None]
        return join(self._config, known) if len(known) == len(parts) else None

    def gradient_scale(self) -> dict[str, Array]:
        """The usual size of each row of each gradient of the whole model."""
        return join_scales(self._config, [learner.gradient_scale() for learner in self._learners])

    def snapshot(self) -> dict[str, Array]:
        """Copies of the arrays of all members."""
        return {
            self._prefix(place) + name: array
            for place, learner in enumerate(self._learners)
            for name, array in learner.arrays().items()
        }

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put every member back."""
        for place, learner in enumerate(self._learners):
            learner.restore(under(self._prefix(place), arrays))

    def _prefix(self, place: int) -> str:
        return "" if len(self._learners) == 1 else f"member{place}."

    def _whole(self, numbers: Array) -> Tensor:
        return torch.from_numpy(np.array(numbers, np.int64)).to(self._device)
