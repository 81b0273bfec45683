"""Named parameters, and how they begin.

``Parameters`` is a dict of name -> array whose arrays are shared with what computes with them: writing into
an array, or assigning to a name (which copies), changes the model. Initial values depend only on the seed and
on where in the model a parameter stands, so that one layer more leaves the others as they were.
``LanguageModel`` is a configuration and its parameters; ``network.program`` runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from pantoum.config import ModelConfig, whole
from pantoum.errors import SettingError
from pantoum.kernels import Array
from pantoum.network.network_state import NetworkState, zeros
from pantoum.network.spec import Parameter, declared, state_of

if TYPE_CHECKING:
    from _typeshed import SupportsKeysAndGetItem

T = TypeVar("T")
Arrays: TypeAlias = "SupportsKeysAndGetItem[str, Array] | Iterable[tuple[str, Array]]"
"""What ``dict.update`` takes."""
SEEDS_APART = 1_000_003
"""Between the seeds of members, so that those of the next few seeds are others."""
EMBEDDING = (0,)
"""The place of input vectors, whose numbers are normal."""


class Parameters(dict[str, Array]):
    """Names and arrays; assigning to a name copies into its array."""

    def __setitem__(self, name: str, value: object) -> None:
        if name not in self:
            raise SettingError(
                "parameter", name, "is not one of this block's", "use one of " + ", ".join(self)
            )
        value = np.asarray(value)
        if value.shape != self[name].shape:
            raise SettingError(
                f"parameter {name}",
                value.shape,
                f"must have the shape {self[name].shape}",
                "give an array of that shape",
            )
        self[name][...] = value

    def __reduce__(self) -> tuple[type[Parameters], tuple[dict[str, Array]]]:
        """Copied (``copy.deepcopy`` of a model) by way of a plain dict: assignment here never adds a name."""
        return Parameters, (dict(self),)

    def update(self, *arrays: Arrays, **named: Array) -> None:
        """Copy each of these arrays into the parameter of its name."""
        for one in (*arrays, named):
            for name, value in dict(one).items():
                self[name] = value

    @staticmethod
    def joined(parts: Iterable[tuple[str, Mapping[str, Array]]]) -> Parameters:
        """The parameters of several parts, each name after its part's prefix; the arrays are shared."""
        return Parameters({prefix + name: array for prefix, part in parts for name, array in part.items()})

    @property
    def size(self) -> int:
        """How many numbers there are in all."""
        return sum(array.size for array in self.values())


def under(prefix: str, weights: Mapping[str, T]) -> dict[str, T]:
    """What stands under a prefix, by the rest of its name."""
    return {name[len(prefix) :]: weight for name, weight in weights.items() if name.startswith(prefix)}


def generator(seed: int, *place: int) -> np.random.Generator:
    """The random numbers of one place in the model."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *place])))


def seed_of(seed: int, member: int) -> int:
    """The seed of a member."""
    return (seed + SEEDS_APART * member) % 2**63 if member else seed


def initial(declared: Iterable[Parameter], seed: int | None, dtype: npt.DTypeLike) -> Parameters:
    """Parameters as they begin: PyTorch's initial values, but for those that the declaration gives; zeros
    without a seed."""
    made: dict[str, Array] = {}
    streams: dict[object, np.random.Generator] = {}  # NumPy imports it when it is first asked for
    for each in declared:
        array = np.zeros(each.shape, dtype, "F" if each.by_columns else "C")
        if seed is not None and each.place:
            own = each.member, each.place
            if own not in streams:
                streams[own] = generator(seed_of(seed, each.member or 0), *each.place)
            if each.place == EMBEDDING:
                array[...] = (streams[own].standard_normal(each.shape) * each.spread).astype(dtype)
            else:
                array[...] = streams[own].uniform(-each.spread, each.spread, each.shape).astype(dtype)
            for rows, value in each.values:
                array[rows] = value
        made[each.name] = array
    return Parameters(made)


class LanguageModel:
    """A recurrent model of the next token."""

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int | None = None,
        cell: str = "gru",
        hidden_size: int = 512,
        num_layers: int = 3,
        seed: int | None = 0,
        *,
        config: ModelConfig | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        """``config`` is the whole shape, in place of the four sizes and names before ``seed``. ``seed=None``
        leaves all parameters zero, to be filled."""
        self.config = config or ModelConfig(cell, hidden_size, num_layers, embedding_size)
        whole(vocab_size, "vocab_size")
        seed = None if seed is None else whole(seed, "seed", least=0)
        self.config.check_tables(vocab_size)
        self.vocab_size, self.dtype = vocab_size, np.dtype(dtype)
        self.parameters = initial(declared(self.config, vocab_size).values(), seed, self.dtype)

    @property
    def hidden_size(self) -> int:
        """Size of the concatenated outputs of all members, K * H."""
        return self.config.members * self.config.hidden_size

    @property
    def num_parameters(self) -> int:
        """The number of learned parameters."""
        return self.parameters.size

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""
        return zeros(state_of(self.config), batch_size, self.dtype)

    def copy(self) -> LanguageModel:
        """The same weights, in memory of their own."""
        copied = LanguageModel(self.vocab_size, config=self.config, seed=None, dtype=self.dtype)
        copied.parameters.update(self.parameters)
        return copied
