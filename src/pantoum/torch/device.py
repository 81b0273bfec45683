"""``--device``: whether a run trains in PyTorch, and on which device."""

from __future__ import annotations

import os

import torch

from pantoum.config.launcher import torchrun_count
from pantoum.errors import SettingError
from pantoum.torch.torch_backend import TorchBackend
from pantoum.training.assembly import TrainingEngine
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.update.backend import LocalBackend, SharedBackend

__all__ = ["engine"]


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
