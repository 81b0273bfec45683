"""An optimiser that pulls the matrices back to those that training began from (L2-SP, Li et al. 2018).

Fine-tuning a model on a short text would learn the text by heart. After each step at a rate r the matrices
move towards those by the share r * pull of the distance, so that what the text does not ask for stays as it
was. Vectors and tables of logits are left alone. The matrices of the start are part of the state of the
optimiser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pantoum.config import ModelConfig
from pantoum.kernels import Array, backend
from pantoum.network import LanguageModel
from pantoum.network.gradient import Gradients
from pantoum.network.spec import named
from pantoum.training.update.optimizer import AdamW
from pantoum.training.update.shards import Share
from pantoum.training.update.spelling import SpellingOptimizer

Values = TypeVar("Values")


class PulledOptimizer:
    """The steps of another optimiser, each with the pull after it."""

    def __init__(self, optimizer: AdamW | SpellingOptimizer, model: LanguageModel, pull: float) -> None:
        self._optimizer, self._pull, self._model = optimizer, pull, model
        parameters = matrices(model.config, model.parameters)
        self._origin = {name: array.copy(order="K") for name, array in parameters.items()}
        self._kernels = backend(model.dtype)

    @property
    def steps(self) -> int:
        """Updates done."""
        return self._optimizer.steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self._optimizer.steps = steps

    def step(self, gradients: Gradients, rate: float, factor: float) -> None:
        """One update at ``rate``, and the pull."""
        self._optimizer.step(gradients, rate, factor)
        for name, origin in self._origin.items():
            along = gradients[name].along
            parameter = self._model.parameters[name]
            self._kernels.average(along(parameter), along(origin), 1.0 - min(1.0, rate * self._pull))

    def join(self, share: Share) -> None:
        """As of the other optimiser: its step leaves every process with the same parameters."""
        self._optimizer.join(share)

    def collect(self) -> None:
        """As of the other optimiser."""
        self._optimizer.collect()

    def arrays(self) -> dict[str, Array]:
        """Those of the other optimiser, and ``origin.NAME``."""
        return {
            **self._optimizer.arrays(),
            **{f"origin.{name}": array for name, array in self._origin.items()},
        }


def matrices(config: ModelConfig, parameters: Mapping[str, Values]) -> dict[str, Values]:
    """The parameters that are pulled back."""
    others = {*named(config, "vector"), *named(config, "table")}
    return {name: each for name, each in parameters.items() if name not in others}
