"""``training.update.backend`` in PyTorch, on the CPU or on a GPU.

The loop, the guard, evaluation and saving know nothing of it. Snapshots have the names and shapes of the
core's, so a run can be started on one engine and resumed on the other; the losses then agree within rounding,
and no bit is promised. The loss is always that of all symbols, where the core may sample them.

On several ranks each computes its rows of a batch in one pass, whatever the number of shards, and the
gradients of all ranks are summed where they are (``tensor_sums``).

``engine`` says for ``--device`` whether a run trains in PyTorch, and on which device.

B streams, T time steps.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

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
    Recipe,
    Share,
    StepResult,
    TrainSettings,
    seed_of,
    torchrun_count,
)

__all__ = ["TorchBackend", "TorchEngine", "engine"]


class TorchBackend(Members[TorchLearner]):
    """A learner for each member on one device. ``restore`` fills it."""

    def __init__(self, recipe: Recipe, vocab_size: int, device: str) -> None:
        self._device = device
        self._share: Share | None = None
        seeds = [seed_of(recipe.seed, place) for place in range(recipe.members)]
        super().__init__(recipe.model, [TorchLearner(recipe, vocab_size, seed, device) for seed in seeds])

    def join(self, share: Share) -> None:
        """From now on train with other ranks: batches, states and streams are this rank's rows of each."""
        ranks = getattr(share, "ranks", None)
        if not isinstance(ranks, TensorRanks):
            raise RankError("these ranks cannot exchange tensors; start them with torchrun")
        self._share = share
        for learner in self.learners:
            learner.join(ranks, share)

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
        facts, finite = [[loss, accuracy] for loss, accuracy, _ in found], after.finite
        if (share := self._share) is not None:  # the figures of a rank stand for each of its shards
            first, end = share.own
            of_shards, finite = share.all_facts([[fact] * (end - first) for fact in facts], finite)
            facts = [[share.shards.mean(each) for each in zip(*own, strict=True)] for own in of_shards]
        return StepResult(
            loss=float(np.mean([loss for loss, _ in facts])),
            accuracy=float(np.mean([accuracy for _, accuracy in facts])),
            gradient_norm=self.gradient_norm,
            state=after,
            finite=finite,
        )

    def _whole(self, numbers: Array) -> Tensor:
        return torch.from_numpy(np.array(numbers, np.int64)).to(self._device)


def engine(settings: TrainSettings) -> TorchEngine | None:
    """The engine of ``cpu``, ``cuda`` or ``auto``; ``None``: the core, which ``auto`` takes without a GPU. On
    several ranks each takes the GPU of its number on its machine."""
    device = settings.device
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return TorchEngine("cpu") if device == "cpu" else None
    if not torch.cuda.is_available():
        raise SettingError(
            "device",
            device,
            "needs a GPU that PyTorch can use, and it finds none here",
            "leave it out to train on this machine's processor",
        )
    if torchrun_count() == 1:
        return TorchEngine("cuda")
    place, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if place >= gpus:
        raise SettingError(
            "device",
            device,
            f"needs a GPU for each rank, and this machine has {gpus}",
            f"start {gpus} ranks per machine",
        )
    torch.cuda.set_device(place)
    return TorchEngine(f"cuda:{place}")


@dataclass(frozen=True)
class TorchEngine:
    """PyTorch on a device."""

    device: str
    processes: int = 1

    @property
    def kind(self) -> str:
        """``cpu`` or ``cuda``."""
        return str(torch.device(self.device).type)

    @property
    def own_memory(self) -> bool:
        """The memory of a device is not that of the machine; PyTorch says by itself where it is too small."""
        return True

    @property
    def name(self) -> str:
        """What all ranks of a run must have in common."""
        return f"PyTorch {torch.__version__}, {self.kind}"

    @property
    def note(self) -> str:
        """What a person should know of the run."""
        where = f"the GPU {torch.cuda.get_device_name()}" if self.kind == "cuda" else "the CPU"
        return (
            f"trains in PyTorch {torch.__version__} on {where}; losses agree with those of the core within "
            "rounding, bits do not; evaluations use the core"
        )

    def take_over(
        self, local: LocalBackend, recipe: Recipe, vocab_size: int, batch_size: int, counts_V: Array | None
    ) -> TorchBackend:
        """A backend with all arrays of the core's."""
        backend = TorchBackend(recipe, vocab_size, self.device)
        backend.restore(local.snapshot())
        return backend
