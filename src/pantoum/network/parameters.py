"""Named parameters, and how they begin.

``Parameters`` is a dict of name -> array whose arrays are shared with the block that computes with them:
writing into an array, or assigning to a name (which copies), changes the block. Initial values depend only
on the seed and on where in the model a parameter stands, so that one layer more leaves the others as they
were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from pantoum.errors import SettingError
from pantoum.kernels import Array

__all__ = ["Parameters", "generator", "under", "uniform"]

if TYPE_CHECKING:
    from _typeshed import SupportsKeysAndGetItem

T = TypeVar("T")
Arrays: TypeAlias = "SupportsKeysAndGetItem[str, Array] | Iterable[tuple[str, Array]]"
"""What ``dict.update`` takes."""


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


def uniform(
    random: np.random.Generator | None, shape: tuple[int, ...], bound: float, dtype: npt.DTypeLike
) -> Array:
    """Numbers from -bound to bound, PyTorch's initial values with bound = 1/sqrt(H); zeros without
    ``random``."""
    if random is None:
        return np.zeros(shape, dtype)
    return random.uniform(-bound, bound, shape).astype(dtype)
