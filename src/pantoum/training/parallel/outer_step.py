"""How ranks combine their weights after updates that each has made by itself (``--sync-every``).

Each rank trains on its own streams with its own optimiser. At a synchronisation the mean over ranks of what
the weights have changed since the last one is the gradient of an *outer* optimiser, SGD with Nesterov
momentum (DiLoCo, Douillard et al. 2023, algorithm 1; without momentum and at rate 1 it is the averaging of
post-local SGD, Lin et al. 2018). For weights ``w_r`` of rank r of R and common weights ``c``:

    d = c - mean over r of w_r
    m = MOMENTUM m + d
    c = c - RATE (d + MOMENTUM m)        and then w_r = c on every rank

The sums over ranks are those of gradients (``rank_sums``): every rank gets the same bits. A matrix of which
the updates have changed few rows (a table of n-grams, the embedding of many words) or few columns (one-hot
inputs) is sent as these. With gradients in bf16 the change of each rank is rounded to bf16, and so is every
sum of the changes; the common weights and the momentum are not.

The common weights and the momentum are the same on every rank, so a checkpoint holds them once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pantoum.kernels import Array
from pantoum.network.gradient import Gradient
from pantoum.ranks.interface import Ranks
from pantoum.training.update.learner import require_arrays
from pantoum.training.update.rank_sums import RankSums

__all__ = ["MOMENTUM", "PREFIX", "RATE", "OuterStep"]

RATE, MOMENTUM = 1.0, 0.6
"""Chosen for small models and N = 32 (docs/log/recipe-search.md): the loss changes little between a momentum
of 0.5 and 0.7 and rises fast from 0.8 on. DiLoCo's 0.7 and 0.9 are for hundreds of updates between two
synchronisations."""
PREFIX = "outer."
"""Begins the names of the arrays in a checkpoint."""


class OuterStep:
    """The outer optimiser of this rank's weights."""

    def __init__(self, ranks: Ranks, weights: Mapping[str, Array], bf16: bool = False) -> None:
        """``weights``: the very arrays in use, those of every rank alike; ``bf16``: the differences are
        rounded to bf16 before they are sent."""
        self._ranks, self._weights, self._bf16 = ranks, weights, bf16
        self._sums = RankSums(ranks, ranks.count, ranks.count, direct=ranks.count == 2)
        self._common = {name: array.copy() for name, array in weights.items()}
        self._momentum = {name: np.zeros_like(array) for name, array in weights.items()}

    # Weights of a rank that diverges are reported by the guard, after this step, not by a warning.
    @np.errstate(over="ignore", invalid="ignore")
    def step(self) -> None:
        """Combine the weights of all ranks, and continue from them; every rank calls it."""
        own = self._ranks.rank, self._ranks.rank + 1
        changed = {name: self._changed(name) for name in self._weights}
        if self._bf16:
            changed = {name: gradient.rounded() for name, gradient in changed.items()}
        total = self._sums.total({own: changed})
        for name, weights in self._weights.items():
            gradient, common, momentum = total[name], self._common[name], self._momentum[name]
            difference = gradient.values / weights.dtype.type(self._ranks.count)
            momentum *= weights.dtype.type(MOMENTUM)
            step = momentum * weights.dtype.type(MOMENTUM)
            for array, share in ((momentum, 1.0), (step, 1.0 + MOMENTUM)):
                along, scaled = gradient.along(array), difference * weights.dtype.type(share)
                along[slice(None) if gradient.rows_U is None else gradient.rows_U] += scaled
            common -= weights.dtype.type(RATE) * step
            weights[...] = common

    def arrays(self) -> dict[str, Array]:
        """The very arrays in use: ``outer.common.NAME`` and ``outer.momentum.NAME``."""
        parts = {"common": self._common, "momentum": self._momentum}
        return {
            f"{PREFIX}{part}.{name}": array for part, held in parts.items() for name, array in held.items()
        }

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put everything back. ``CheckpointError``: an array is missing or misshapen."""
        own = self.arrays()
        require_arrays(own, arrays)
        for name, array in own.items():
            array[...] = arrays[name]

    def _changed(self, name: str) -> Gradient:
        """What a parameter has changed, with the sign of a gradient. Of a matrix, the rows that have changed
        (of a wide one the columns), if these are fewer bytes to send."""
        difference = self._common[name] - self._weights[name]
        if difference.ndim != 2:
            return Gradient(difference)
        wide = difference.shape[1] > difference.shape[0]
        along = np.ascontiguousarray(difference.T) if wide else difference
        rows_U = np.flatnonzero(along.any(axis=1))
        if len(rows_U) * self._ranks.count >= len(along):
            return Gradient(along, transposed=wide)
        return Gradient(along[rows_U], rows_U, wide)
