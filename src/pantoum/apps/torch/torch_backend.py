"""``training.update.backend`` in PyTorch, on the CPU or on a GPU.

The loop, the guard, evaluation and saving know nothing of it. Snapshots have the names and shapes of the
core's, so a run can be started on one engine and resumed on the other; the losses then agree within rounding,
and no bit is promised. The loss is always that of all symbols, where the core may sample them.

On several ranks each computes its rows of a batch in one pass, whatever the number of shards, and the
gradients of all ranks are summed where they are (``rank_sums``).

``engine`` says for ``--device`` whether a run trains in PyTorch, and on which device.

B streams, T time steps.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor

from pantoum.apps.torch.conversion import state_from_torch, state_to_torch
from pantoum.apps.torch.tensor_sums import TensorRanks
from pantoum.apps.torch.torch_learner import TorchLearner
from pantoum.errors import RankError, SettingError
from pantoum.seams import (
    Array,
    Batch,
    LocalBackend,
    Members,
    NetworkState,
    RankSums,
    Recipe,
    SharedBackend,
    SpreadState,
    StepResult,
    TrainingEngine,
    seed_of,
    torchrun_count,
)

__all__ = ["TorchBackend", "engine"]


class TorchBackend(Members[TorchLearner]):
    """A learner for each member on one device. ``restore`` fills it."""

    def __init__(self, recipe: Recipe, vocab_size: int, device: str) -> None:
        self._device, self.shards = device, recipe.shards
        self._together: RankSums | None = None
        seeds = [seed_of(recipe.seed, place) for place in range(recipe.members)]
        super().__init__(recipe.model, [TorchLearner(recipe, vocab_size, seed, device) for seed in seeds])

    def join(self, together: RankSums) -> None:
        """From now on train with other ranks: batches, states and streams are this rank's rows of each."""
        ranks, shards = together.ranks, together.shards
        if not isinstance(ranks, TensorRanks):
            raise RankError("these ranks cannot exchange tensors; start them with torchrun")
        self._together = together
        rows = shards.streams(shards.node(together.rank))
        for learner in self.learners:
            learner.join(ranks, (rows.stop - rows.start) / shards.batch_size)

    def collect(self) -> None:
        """Every rank has all arrays at every step."""

    def gradients(self, batch: Batch, state: NetworkState, step: int, streams: Array) -> StepResult:
        """Forward and backward pass over this rank's rows of a batch, member by member."""
        inputs, targets, numbers = (
            self._whole(each) for each in (batch.inputs_BT, batch.targets_BT, streams)
        )
        resets = torch.from_numpy(np.array(batch.reset_BT)) if batch.reset_BT.any() else None
        found = []
        for learner, own in zip(self.learners, self.parts(state), strict=True):
            begun = state_to_torch(own, learner.module.head.bias.detach())
            found.append(learner.gradients(inputs, targets, resets, begun, step, numbers))
        after = self.joined([state_from_torch(state) for _, _, state in found])
        facts = [[loss, accuracy] for loss, accuracy, _ in found]
        if self._together is not None:
            facts, after = self._of_all_ranks(self._together, facts, after)
        return StepResult(
            loss=float(np.mean([loss for loss, _ in facts])),
            accuracy=float(np.mean([accuracy for _, accuracy in facts])),
            gradient_norm=self.gradient_norm,
            state=after,
        )

    @staticmethod
    def _of_all_ranks(
        together: RankSums, facts: list[list[float]], after: NetworkState
    ) -> tuple[list[list[float]], NetworkState]:
        """Loss and accuracy of each member over the whole batch, and the states of this rank's streams. The
        figures of a rank stand for each of its shards."""
        shards = together.shards
        first, end = shards.node(together.rank)
        of_shards, finite = together.all_facts([[fact] * (end - first) for fact in facts], after.finite)
        means = [[shards.mean(values) for values in zip(*own, strict=True)] for own in of_shards]
        return means, SpreadState(after.arrays, finite)

    def _whole(self, numbers: Array) -> Tensor:
        return torch.from_numpy(np.array(numbers, np.int64)).to(self._device)


def engine(device: str) -> TrainingEngine | None:
    """The engine of ``cpu``, ``cuda`` or ``auto``; ``None``: the core, which ``auto`` takes without a GPU. On
    several ranks each takes the GPU of its number on its machine."""
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return _on(device) if device == "cpu" else None
    if not torch.cuda.is_available():
        raise SettingError(
            "device",
            device,
            "needs a GPU that PyTorch can use, and it finds none here",
            "leave it out to train on this machine's processor",
        )
    if torchrun_count() == 1:
        return _on("cuda")
    place, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if place >= gpus:
        raise SettingError(
            "device",
            device,
            f"needs a GPU for each rank, and this machine has {gpus}",
            f"start {gpus} ranks per machine",
        )
    torch.cuda.set_device(place)
    return _on(f"cuda:{place}")


def _on(device: str) -> TrainingEngine:
    """PyTorch on a device."""
    kind = torch.device(device).type
    where = f"the GPU {torch.cuda.get_device_name()}" if kind == "cuda" else "the CPU"
    note = (
        f"trains in PyTorch {torch.__version__} on {where}; losses agree with those of the core within "
        "rounding, bits do not; evaluations use the core"
    )

    def take_over(local: LocalBackend, recipe: Recipe, vocab_size: int) -> SharedBackend:
        backend = TorchBackend(recipe, vocab_size, device)
        backend.restore(local.snapshot())
        return backend

    return TrainingEngine(f"PyTorch {torch.__version__}, {kind}", note, take_over)
