"""``training.backend`` in PyTorch, on the CPU or on a GPU.

The loop, the guard, evaluation and saving know nothing of it. Snapshots have the names and shapes of the
core's, so a run can be started on one engine and resumed on the other; the losses then agree within rounding,
and no bit is promised. The loss is always that of all symbols, where the core may sample them.

B streams, T time steps.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pantoum.kernels import Array
from pantoum.network.language_model import seed_of
from pantoum.network.state import NetworkState
from pantoum.torch.convert import state_from_torch, state_to_torch
from pantoum.torch.learner import Learner
from pantoum.training.backend import StepResult
from pantoum.training.members import Members
from pantoum.training.recipe import Recipe

__all__ = ["TorchBackend"]


class TorchBackend(Members[Learner]):
    """A learner for each member on one device. ``restore`` fills it."""

    def __init__(self, recipe: Recipe, vocab_size: int, device: str) -> None:
        self._device = device
        seeds = [seed_of(recipe.seed, place) for place in range(recipe.members)]
        super().__init__(recipe.model, [Learner(recipe, vocab_size, seed, device) for seed in seeds])

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
        for learner, own in zip(self.learners, self.parts(state), strict=True):
            begun = state_to_torch(own, learner.module.head.bias.detach())
            found.append(learner.gradients(inputs, targets, resets, begun, step, numbers))
        return StepResult(
            loss=float(np.mean([each.loss for each in found])),
            accuracy=float(np.mean([each.accuracy for each in found])),
            gradient_norm=self.gradient_norm,
            state=self.joined([state_from_torch(each.state) for each in found]),
        )

    def _whole(self, numbers: Array) -> Tensor:
        return torch.from_numpy(np.array(numbers, np.int64)).to(self._device)
