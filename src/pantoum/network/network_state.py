"""The state that streams hand on, as a value: of one block, or of a whole model.

A cell's state is an array [B,H], the LSTM's the pair (h, c); a stack's state is the tuple of the states of
its layers. A model's state is flat: arrays of B rows, one row per stream, in an order that the model knows.
So whoever carries, keeps, forks or resets streams needs to know nothing of cells and layers. No function
here changes a state: each gives a new one.

Shapes: B rows (streams), H units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pantoum.config import require, whole
from pantoum.errors import SettingError
from pantoum.kernels import Array
from pantoum.network.checks import as_array
from pantoum.network.spec import StateArray

BlockState: TypeAlias = "Array | tuple[BlockState, ...]"
"""The state of a cell or of a stack, in the public form."""


CARRY = "carry the state of the same batch, or start from initial_state"


@dataclass(frozen=True, eq=False)
class NetworkState:
    """The state of B streams of a model: arrays of B rows each, float32 in every model file.

    ``network.spec`` says which array is what. All operations are by rows.
    """

    arrays: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.arrays[0])

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the arrays."""
        return [array.shape for array in self.arrays]

    @property
    def finite(self) -> bool:
        """Whether every number is finite."""
        return all(bool(np.isfinite(array).all()) for array in self.arrays)

    def copy(self) -> NetworkState:
        """With memory of its own."""
        return NetworkState(tuple(array.copy() for array in self.arrays))

    def select(self, rows: Sequence[int] | Array | slice) -> NetworkState:
        """The state of some of the streams, by number, mask or slice; a copy."""
        chosen = np.arange(len(self))[rows]
        return NetworkState(tuple(array[chosen] for array in self.arrays))

    def zero_where(self, mask_B: Array) -> NetworkState:
        """With zeros in the rows where the mask holds."""
        keep_B1 = ~np.asarray(mask_B, bool)[:, None]
        return NetworkState(tuple(np.where(keep_B1, array, array.dtype.type(0)) for array in self.arrays))

    @staticmethod
    def joined(states: Sequence[NetworkState]) -> NetworkState:
        """The streams of several states one after the other."""
        parts = zip(*(state.arrays for state in states), strict=True)
        return NetworkState(tuple(np.concatenate(arrays) for arrays in parts))

    def checked(self, template: NetworkState) -> NetworkState:
        """This state, if it has the shapes of the template; with the template's dtypes."""
        if self.shapes != template.shapes:
            rule = f"must have the shapes {template.shapes}: a state belongs to its model and its batch"
            raise SettingError("state", self.shapes, rule, CARRY)
        both = zip(self.arrays, template.arrays, strict=True)
        return NetworkState(tuple(np.asarray(own, like.dtype) for own, like in both))


def zeros(arrays: Iterable[StateArray], batch_size: int, dtype: npt.DTypeLike) -> NetworkState:
    """The state of streams that have read nothing."""
    whole(batch_size, "batch_size")
    return NetworkState(tuple(np.zeros((batch_size, array.width), dtype) for array in arrays))


def map_arrays(function: Callable[..., Array], state: BlockState, *others: BlockState | None) -> BlockState:
    """A state of the same form whose arrays are ``function`` of the arrays at their place in each state."""
    if isinstance(state, tuple):
        return tuple(map_arrays(function, *parts) for parts in zip(state, *others, strict=True))
    return function(state, *others)


def to_arrays(state: BlockState) -> list[Array]:
    """The state's arrays in order: layer by layer, h before c."""
    if isinstance(state, tuple):
        return [array for part in state for array in to_arrays(part)]
    return [state]


def from_arrays(template: BlockState, arrays: Sequence[Array]) -> BlockState:
    """The inverse of ``to_arrays``: a state of the template's form."""
    expected, given = len(to_arrays(template)), f"{len(arrays)} arrays"
    rule, advice = f"must be {expected} for this model", "give the state of this model"
    require(len(arrays) == expected, "state", given, rule, advice)
    left: Iterator[Array] = iter(arrays)
    return map_arrays(lambda _: next(left), template)


def concatenate_state(state: BlockState) -> Array:
    """One array [B,sum], as with ``state_is_tuple=False``: the layers side by side."""
    arrays = [as_array(array) for array in to_arrays(state)]
    fits = all(array.ndim == 2 and len(array) == len(arrays[0]) for array in arrays) and bool(arrays)
    rule, advice = "must have an array [B, H] per layer, of one batch", "give the state of a cell or a stack"
    require(fits, "state", [array.shape for array in arrays], rule, advice)
    return np.concatenate(arrays, axis=1)


def check_state(state: BlockState, template: BlockState) -> BlockState:
    """The state, if it has the form and shapes of the template; dtype made the template's."""
    try:
        return map_arrays(_check_part, template, state)
    except (TypeError, ValueError) as error:
        if isinstance(error, SettingError):
            raise
        raise SettingError(
            "state", type(state).__name__, "must be a state of this block", "start from initial_state"
        ) from None


def _check_part(template_BH: Array, value: object) -> Array:
    part = as_array(value)
    if part.dtype.kind not in "fiub":
        raise TypeError
    rule = f"must have the shape {template_BH.shape}: a state belongs to its batch"
    require(part.shape == template_BH.shape, "state", part.shape, rule, CARRY)
    return part.astype(template_BH.dtype, copy=False)
