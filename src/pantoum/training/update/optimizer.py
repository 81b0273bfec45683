"""AdamW (Loshchilov and Hutter 2019) and Muon (Jordan et al. 2024) over a model's parameters, in place.

- ``AdamW`` scales the step of each number by its own gradients. If a batch uses few rows of a parameter (an
  embedding or a head of a large vocabulary, or the columns of the matrix of one-hot inputs), only these rows,
  their moments and their decay take the step.
- ``Muon`` is for the maps (``network.spec``), of which each block moves by its momentum made orthogonal, as
  far in every direction. Input vectors, the head and biases stay with AdamW.
- Tables of logits, of which an update touches few rows, move by RMSProp (Hinton 2012) in these rows alone.

Weight decay is decoupled and pulls on matrices only: shrinking a bias towards zero has no reason. The moments
are float32 like the weights, and all of it is plain arrays that a checkpoint keeps. The rate of each step
comes from the schedule, the factor from clipping; neither is known here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pantoum import kernels
from pantoum.config import OPTIMIZERS, ModelConfig, one_of
from pantoum.kernels import Array
from pantoum.kernels.reference.update import NEWTON_SCHULZ, Coefficients
from pantoum.network import LanguageModel
from pantoum.network.gradient import Gradients
from pantoum.network.spec import declared, named
from pantoum.training.update.shards import Share

BETAS = (0.9, 0.99)
"""The second is below the usual 0.999: a run of minutes has a few hundred steps, and gradients of a recurrent
network change their size fast."""
EPSILON = 1e-8
MOMENTUM = 0.95
MUON_RATE = 5.0
"""Muon's rate as a multiple of the learning rate, which AdamW uses."""
TABLE_KEEP = 0.99
"""How long the squares of a table last, in uses of a row."""


class AdamW:
    """First and second moments of each parameter's gradient, and the update that they give. Tables of logits
    have squares of their own."""

    def __init__(
        self,
        parameters: Mapping[str, Array],
        weight_decay: float,
        tables: Mapping[str, Array] | None = None,
        table_rate: float = 1.0,
    ) -> None:
        """``tables``: the tables of logits, which are not among the parameters; ``table_rate``: their rate as
        a multiple of the learning rate."""
        self.steps = 0
        self.betas = BETAS
        self.slower: dict[str, float] = {}
        """Rates of parameters as a multiple of the learning rate, where that is not 1."""
        self._parameters, self._tables, self._table_rate = parameters, tables or {}, table_rate
        self.decay = {name: weight_decay if array.ndim >= 2 else 0.0 for name, array in parameters.items()}
        self._first = {name: np.zeros_like(array) for name, array in parameters.items()}
        self._second = {name: np.zeros_like(array) for name, array in parameters.items()}
        self._squares = {name: np.zeros_like(table_RV) for name, table_RV in self._tables.items()}
        self._kernels = kernels.backend(next(iter(parameters.values())).dtype)

    def step(self, gradients: Gradients, rate: float, factor: float) -> None:
        """One update at ``rate`` (of tables at a multiple of it); the gradients count times ``factor``."""
        self.steps += 1
        for name, parameter in self._parameters.items():
            gradient = gradients[name]
            self._kernels.adamw(
                gradient.along(parameter),
                gradient.values,
                gradient.along(self._first[name]),
                gradient.along(self._second[name]),
                step=self.steps,
                rate=rate * self.slower.get(name, 1.0),
                betas=self.betas,
                epsilon=EPSILON,
                weight_decay=self.decay[name],
                factor=factor,
                rows_U=gradient.rows_U,
            )
        for name, table_RV in self._tables.items():
            rows_U, values_UV = gradients[name].by_rows()
            self._kernels.rms_rows(
                table_RV,
                rows_U,
                values_UV,
                self._squares[name],
                rate=self._table_rate * rate,
                keep=TABLE_KEEP,
                epsilon=EPSILON,
                factor=factor,
            )

    def join(self, share: Share) -> None:
        """Several processes make the same steps from now on. Each makes the whole step: it costs little more
        than to send its results."""

    def collect(self) -> None:
        """Make ``arrays`` right in every process; every process calls it. Here they always are."""

    def arrays(self) -> dict[str, Array]:
        """``first.NAME`` and ``second.NAME``, ``squares.NAME`` of tables: the very arrays in use, and with
        the count ``steps`` all that a checkpoint has of the optimiser."""
        parts = {"squares": self._squares, "first": self._first, "second": self._second}
        return {f"{part}.{name}": array for part, held in parts.items() for name, array in held.items()}


class Muon(AdamW):
    """Muon for the maps, AdamW for everything else, at rates that go together."""

    def __init__(
        self,
        parameters: Mapping[str, Array],
        weight_decay: float,
        blocks: Mapping[str, int],
        precision: str,
        *,
        tables: Mapping[str, Array] | None = None,
        table_rate: float = 1.0,
        times: float = MUON_RATE,
        coefficients: Coefficients = NEWTON_SCHULZ,
    ) -> None:
        """``blocks``: the maps, by name, and how many blocks each has."""
        others = {name: array for name, array in parameters.items() if name not in blocks}
        super().__init__(others, weight_decay, tables, table_rate)
        self._times, self._coefficients = times, coefficients
        self._maps = {name: parameters[name] for name in blocks}
        self._momentum = {name: np.zeros_like(array) for name, array in self._maps.items()}
        self._blocks = [
            (name, slice(block * len(array) // blocks[name], (block + 1) * len(array) // blocks[name]))
            for name, array in self._maps.items()
            for block in range(blocks[name])
        ]
        """Each block of each map."""
        self._share: Share | None = None
        self._owners: list[int] = []
        self._map_decay, self._precision = weight_decay, precision

    def step(self, gradients: Gradients, rate: float, factor: float) -> None:
        """One update. AdamW uses ``rate``, Muon a multiple of it."""
        super().step(gradients, rate, factor)
        blocks = self._blocks
        if self._share is not None:
            owned = zip(self._blocks, self._owners, strict=True)
            blocks = [block for block, owner in owned if owner == self._share.rank]
        self._kernels.muon(
            [self._maps[name][rows] for name, rows in blocks],
            [gradients[name].values[rows] for name, rows in blocks],
            [self._momentum[name][rows] for name, rows in blocks],
            [1] * len(blocks),
            rate=self._times * rate,
            momentum=MOMENTUM,
            weight_decay=self._map_decay,
            factor=factor,
            coefficients=self._coefficients,
            precision=self._precision,
        )
        self._spread(self._maps)

    def join(self, share: Share) -> None:
        """From now on each process makes some of the blocks orthogonal; the momentum of a block is then right
        in its own process only, until ``collect``."""
        shapes = [self._maps[name][rows].shape for name, rows in self._blocks]
        self._share, self._owners = share, share.owners([H * K * min(H, K) for H, K in shapes])

    def collect(self) -> None:
        """The momentum of every block in every process."""
        self._spread(self._momentum)

    def arrays(self) -> dict[str, Array]:
        """``momentum.NAME`` of the maps, and those of AdamW."""
        momentum = {f"momentum.{name}": array for name, array in self._momentum.items()}
        return {**momentum, **super().arrays()}

    def _spread(self, arrays: Mapping[str, Array]) -> None:
        """Every block from the process that has computed it to all others."""
        if self._share is not None:
            self._share.spread([arrays[name][rows] for name, rows in self._blocks], self._owners)


def make_optimizer(
    kind: str,
    model: LanguageModel,
    weight_decay: float,
    *,
    precision: str = "float32",
    table_rate: float = 1.0,
) -> AdamW:
    """The optimiser of that name over the parameters of a model. ``precision``: of the products of Muon;
    ``table_rate``: the rate of tables of logits as a multiple of the learning rate."""
    one_of(kind, "optimizer", OPTIMIZERS)
    tables = {name: model.parameters[name] for name in named(model.config, "table")}
    others = {name: array for name, array in model.parameters.items() if name not in tables}
    if kind == "muon":
        blocks = map_blocks(model.config)
        return Muon(others, weight_decay, blocks, precision, tables=tables, table_rate=table_rate)
    return AdamW(others, weight_decay, tables, table_rate)


def map_blocks(config: ModelConfig) -> dict[str, int]:
    """The maps of a model, and of how many blocks each consists."""
    return {name: each.blocks for name, each in declared(config, 1).items() if each.role == "map"}
