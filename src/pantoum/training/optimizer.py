"""AdamW (Loshchilov and Hutter 2019) over a model's parameters, in place, by the kernels' operation.

Weight decay is decoupled and pulls on matrices only: shrinking a bias or a gain towards zero has no
reason. The moments are float32 like the weights, and all of it is plain arrays that a checkpoint keeps.
The rate of each step comes from the schedule, the factor from clipping; neither is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pantoum import kernels
from pantoum.errors import SettingError

__all__ = ["AdamW", "Optimizer", "make_optimizer"]

Array = npt.NDArray[Any]

BETAS = (0.9, 0.99)
"""The second is below the usual 0.999: a run of minutes has a few hundred steps, and gradients of a recurrent
network change their size fast."""
EPSILON = 1e-8


class Optimizer(Protocol):
    """What changes parameters in place, step by step, and can be put back to any of its moments."""

    def step(self, gradients: Mapping[str, Array], rate: float, factor: float) -> None:
        """One update at ``rate``; the gradients count times ``factor``."""

    def arrays(self) -> dict[str, Array]:
        """Its arrays by name, the very ones in use; with ``steps`` they are all there is to keep."""

    steps: int
    """Updates done."""


class AdamW:
    """First and second moments of each parameter's gradient, and the update they give."""

    def __init__(self, parameters: Mapping[str, Array], weight_decay: float) -> None:
        self.steps = 0
        self._parameters = parameters
        self._decay = {name: weight_decay if array.ndim >= 2 else 0.0 for name, array in parameters.items()}
        self._first = {name: np.zeros_like(array) for name, array in parameters.items()}
        self._second = {name: np.zeros_like(array) for name, array in parameters.items()}
        self._kernels = kernels.backend(next(iter(parameters.values())).dtype)

    def step(self, gradients: Mapping[str, Array], rate: float, factor: float) -> None:
        """One update at ``rate``; the gradients count times ``factor``."""
        self.steps += 1
        for name, parameter in self._parameters.items():
            self._kernels.adamw(parameter, gradients[name], self._first[name], self._second[name],
                                step=self.steps, rate=rate, betas=BETAS, epsilon=EPSILON,
                                weight_decay=self._decay[name], factor=factor)

    def arrays(self) -> dict[str, Array]:
        """``first.NAME`` and ``second.NAME``."""
        return {**{f"first.{name}": array for name, array in self._first.items()},
                **{f"second.{name}": array for name, array in self._second.items()}}


def make_optimizer(kind: str, parameters: Mapping[str, Array], weight_decay: float) -> Optimizer:
    """The optimiser of that name over these parameters."""
    if kind == "adamw":
        return AdamW(parameters, weight_decay)
    raise SettingError("optimizer", kind, "must be adamw", "leave --optimizer out")
