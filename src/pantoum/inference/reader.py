"""What reads streams of tokens and gives the nats of what follows: one protocol, so that whoever asks for
losses need not know whether the model that reads is fixed or adapts to what it has read.

A reader is made for a number of streams and holds their state; each call goes on where the call before ended.
``PlainReader`` is the trained model itself. It never keeps logits and never changes the model. Nats that are
not finite are an error.

Shape letters: B streams, T time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pantoum.inference.finite import require_finite
from pantoum.inference.loaded_model import LoadedModel
from pantoum.kernels import Array
from pantoum.kernels.workspace import Workspace

__all__ = ["MakeReader", "PlainReader", "Reader"]

ROWS = 1024
"""Tokens that the network reads at once: enough for products at full rate, few enough that what one kernel
writes is still in the second cache when the next one reads it."""


class Reader(Protocol):
    """Reads B streams side by side, as they come."""

    def losses(
        self, inputs_BT: NDArray[np.int64], targets_BT: NDArray[np.int64], reset_BT: NDArray[np.bool_] | None
    ) -> Array:
        """Nats [B,T] of the targets, each after its input and all inputs before it, of earlier calls too.

        B is the reader's own, T any number from 1 on. Where ``reset_BT`` holds, the state is zero before the
        input is read."""
        ...


MakeReader = Callable[[int], Reader]
"""Makes a reader of so many streams, all at their beginning."""


class PlainReader:
    """The trained model reads, and stays as it is."""

    def __init__(self, model: LoadedModel, streams: int = 1) -> None:
        self._program = model.program
        self._state = model.program.initial_state(streams)
        self._width = max(1, ROWS // streams)
        self._workspace = Workspace()

    @np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
    def losses(
        self, inputs_BT: NDArray[np.int64], targets_BT: NDArray[np.int64], reset_BT: NDArray[np.bool_] | None
    ) -> Array:
        """Nats [B,T] of the targets."""
        found = np.empty(inputs_BT.shape, np.float32)
        for start in range(0, inputs_BT.shape[1], self._width):
            part = np.s_[:, start : start + self._width]
            found[part], _, self._state = self._program.losses(
                inputs_BT[part],
                targets_BT[part],
                self._state,
                reset_BT=None if reset_BT is None else reset_BT[part],
                workspace=self._workspace,
            )
            require_finite([found[part]])
        return found
