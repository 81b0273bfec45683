"""``--device``: whether a run trains in PyTorch, and on which device."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from pantoum.config.launcher import torchrun_count
from pantoum.errors import SettingError
from pantoum.torch.torch_backend import TorchBackend
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.update.backend import LocalBackend, SharedBackend

__all__ = ["TorchEngine", "engine"]


def engine(device: str) -> TorchEngine | None:
    """The engine of ``cpu``, ``cuda`` or ``auto``; ``None``: the core, which ``auto`` takes without a GPU. On
    several ranks each takes the GPU of its number on its machine."""
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return TorchEngine(device) if device == "cpu" else None
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

    @property
    def name(self) -> str:
        """What all ranks of a run must have in common."""
        return f"PyTorch {torch.__version__}, {torch.device(self.device).type}"

    @property
    def note(self) -> str:
        """What a person should know of the run."""
        on_gpu = torch.device(self.device).type == "cuda"
        where = f"the GPU {torch.cuda.get_device_name()}" if on_gpu else "the CPU"
        return (
            f"trains in PyTorch {torch.__version__} on {where}; losses agree with those of the core within "
            "rounding, bits do not; evaluations use the core"
        )

    def take_over(self, local: LocalBackend, recipe: Recipe, vocab_size: int) -> SharedBackend:
        """A backend with all arrays of the core's."""
        backend = TorchBackend(recipe, vocab_size, self.device)
        backend.restore(local.snapshot())
        return backend
