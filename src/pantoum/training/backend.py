"""The seam between the loop and the arithmetic: what the loop may ask, and the answer on one machine.

A step is two calls, because the guard decides between them: ``gradients`` computes and keeps what an update
needs, ``update`` applies it. Weights change in ``update`` and ``restore`` only. ``snapshot`` is a
copy of all arrays that a resumed run needs (weights, averaged weights, moments, the gradients' scale,
counters), taken between steps; the loop adds the rest (cursor, carried state, the guard's record) which is
its own.

Averaged weights: an exponential moving average of the weights after each update, whose decay rises from small
values so that the first averages are not those of the initial weights. The n-grams' table, of which an
update touches few rows, goes in as it is.

B streams, T time steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pantoum import kernels
from pantoum.errors import CheckpointError
from pantoum.kernels.workspace import Workspace
from pantoum.network import LanguageModel
from pantoum.network.ngrams import TABLE, numbers_of
from pantoum.training.gradient_scale import GradientScale
from pantoum.training.optimizer import Optimizer

__all__ = ["Backend", "LocalBackend", "StepResult"]

Array = npt.NDArray[Any]
State = Any
"""The carried state, as the network gives and takes it."""


@dataclass(frozen=True)
class StepResult:
    """What a step found out; the gradients themselves stay with the backend."""

    loss: float
    """Mean nats a target, before the update, with dropout."""
    accuracy: float
    gradient_norm: float
    """Of all parameters together, before clipping."""
    state: State
    """What each stream hands to its next batch."""


class Backend(Protocol):
    """All that the loop knows of the arithmetic."""

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        ...

    def initial_state(self, batch_size: int) -> State:
        """The zero state of ``batch_size`` streams."""

    def gradients(
        self, inputs_BT: Array, targets_BT: Array, reset_BT: Array, state: State, step: int, streams: Array
    ) -> StepResult:
        """Forward and backward over a batch; ``step`` and global ``streams`` number the random draws."""

    def update(self, rate: float, clip: float | None) -> None:
        """Apply the gradients of the last call."""

    def weights(self, averaged: bool) -> Mapping[str, Array] | None:
        """The parameters, or their running average (``None`` without one): views, to be copied to be kept."""

    def gradient_scale(self) -> dict[str, Array]:
        """The usual size of each row of each gradient, by parameter name; fresh arrays."""

    def snapshot(self) -> dict[str, Array]:
        """Copies of all arrays that ``restore`` needs."""

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put everything back to a snapshot; a missing or misshapen array is a CheckpointError."""


class LocalBackend:
    """The one implementation for one process: a ``LanguageModel``, an optimiser, an average, a scale."""

    def __init__(
        self,
        model: LanguageModel,
        optimizer: Optimizer,
        *,
        seed: int,
        average: float | None,
        precision: str = "float32",
    ) -> None:
        self.model = model
        self._precision = precision
        self._optimizer = optimizer
        self._seed = seed
        self._decay = average
        self._averaged = (
            None
            if average is None
            else {name: array.copy() for name, array in model.parameters.items() if name != TABLE}
        )
        self._kernels = kernels.backend(model.dtype)
        self._workspace = Workspace()
        self._gradients: Mapping[str, Any] = {}
        self._norm = 0.0
        self._targets = 0
        self._scale = GradientScale(model.parameters)

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return self.model.num_parameters

    def initial_state(self, batch_size: int) -> State:
        """The zero state of ``batch_size`` streams."""
        return self.model.initial_state(batch_size)

    def gradients(
        self, inputs_BT: Array, targets_BT: Array, reset_BT: Array, state: State, step: int, streams: Array
    ) -> StepResult:
        """Forward and backward over a batch."""
        # What is not finite is the guard's to see, not a warning's to say.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            result = self.model.gradients(
                inputs_BT,
                targets_BT,
                state,
                reset_BT=reset_BT,
                dropout_key=(self._seed, step),
                streams=streams,
                workspace=self._workspace,
                precision=self._precision,
            )
            self._gradients, self._targets = result.gradients, np.size(targets_BT)
            self._norm = self._kernels.global_norm(numbers_of(result.gradients.values()))
        return StepResult(float(result.loss), float(result.accuracy), self._norm, result.state)

    def update(self, rate: float, clip: float | None) -> None:
        """Clip by norm, one step of the optimiser, one of the average."""
        factor = 1.0 if clip is None or self._norm <= clip else clip / self._norm
        self._scale.updated(self._gradients, self._optimizer.steps, self._targets, factor)
        self._optimizer.step(self._gradients, rate, factor)
        if self._averaged is not None and self._decay is not None:
            steps = self._optimizer.steps
            decay = min(self._decay, (1.0 + steps) / (10.0 + steps))
            for name, averaged in self._averaged.items():
                self._kernels.average(averaged, self.model.parameters[name], decay)

    def weights(self, averaged: bool) -> Mapping[str, Array] | None:
        """The parameters, or their running average."""
        if not averaged:
            return self.model.parameters
        if self._averaged is None:
            return None
        return {name: self._averaged.get(name, array) for name, array in self.model.parameters.items()}

    def gradient_scale(self) -> dict[str, Array]:
        """The usual size of each row of each gradient."""
        return self._scale.roots()

    def snapshot(self) -> dict[str, Array]:
        """Copies under ``weights.``, ``averaged.``, ``optimizer.`` and ``scale.``."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put everything back, in place."""
        own = self._arrays()
        for name, array in own.items():
            kept = arrays.get(name)
            if kept is None or kept.shape != array.shape or kept.dtype != array.dtype:
                found = "missing" if kept is None else f"{kept.dtype} {kept.shape}"
                raise CheckpointError(
                    f"checkpoint array {name} is {found}, this run needs {array.dtype} "
                    f"{array.shape}; resume with the settings that the run began with"
                )
        for name, array in own.items():
            array[...] = arrays[name]
        self._optimizer.steps = int(arrays["optimizer.steps"][0])

    def _arrays(self) -> dict[str, Array]:
        """The very arrays in use, by their names in a snapshot."""
        counted = {"steps": np.array([self._optimizer.steps], np.int64)}
        parts = {
            "weights": self.model.parameters,
            "averaged": self._averaged or {},
            "optimizer": {**self._optimizer.arrays(), **counted},
            "scale": self._scale.squares,
        }
        return {f"{part}.{name}": array for part, held in parts.items() for name, array in held.items()}
