"""``--device``: whether a run trains in PyTorch, and on which device."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pantoum.errors import SettingError
from pantoum.torch.backend import TorchBackend
from pantoum.training.backend import Backend, LocalBackend
from pantoum.training.recipe import Recipe

__all__ = ["TorchEngine", "engine"]


def engine(device: str) -> TorchEngine | None:
    """The engine of ``cpu``, ``cuda`` or ``auto``; ``None``: the core, which ``auto`` takes without a GPU."""
    if device == "auto":
        return TorchEngine("cuda") if torch.cuda.is_available() else None
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingError(
            "device",
            device,
            "needs a GPU that PyTorch can use, and it finds none here",
            "leave it out to train on this machine's processor",
        )
    return TorchEngine(device)


@dataclass(frozen=True)
class TorchEngine:
    """PyTorch on a device."""

    device: str

    @property
    def note(self) -> str:
        """What a person should know of the run."""
        where = f"the GPU {torch.cuda.get_device_name()}" if self.device == "cuda" else "the CPU"
        return (
            f"trains in PyTorch {torch.__version__} on {where}; losses agree with those of the core within "
            "rounding, bits do not; evaluations use the core"
        )

    def take_over(self, local: LocalBackend, recipe: Recipe, vocab_size: int) -> Backend:
        """A backend with all arrays of the core's."""
        backend = TorchBackend(recipe, vocab_size, self.device)
        backend.restore(local.snapshot())
        return backend
