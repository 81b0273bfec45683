"""The state that a stream hands on, as a value.

A cell's state is an array [B,H], an LSTM's the pair (h, c); a stack's state is the tuple of its layers'
states, and a model with n-grams has theirs, [B,K], as one part more. Nothing here changes a state: each
function gives a new one.

Shapes: B rows (streams), H units, K tokens that the n-grams keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pantoum.errors import SettingError
from pantoum.kernels import Array

if TYPE_CHECKING:
    from pantoum.network.block import Block

__all__ = [
    "concatenate_state",
    "from_arrays",
    "map_arrays",
    "reset_rows",
    "select_rows",
    "split_state",
    "stack_rows",
    "to_arrays",
]


def map_arrays(function: Callable[..., Array], state: Any, *others: Any) -> Any:
    """A state of the same form whose arrays are ``function`` of the arrays at their place in each state."""
    if isinstance(state, tuple):
        return tuple(map_arrays(function, *parts) for parts in zip(state, *others, strict=True))
    return function(state, *others)


def to_arrays(state: Any) -> list[Array]:
    """The state's arrays in order: layer by layer, h before c, and last the n-grams'."""
    if isinstance(state, tuple):
        return [array for part in state for array in to_arrays(part)]
    return [state]


def from_arrays(template: Any, arrays: Sequence[Array]) -> Any:
    """The inverse of ``to_arrays``: a state of the template's form."""
    expected = len(to_arrays(template))
    if len(arrays) != expected:
        raise SettingError(
            "state",
            f"{len(arrays)} arrays",
            f"must be {expected} for this model",
            "give the state of this model",
        )
    rest: Iterator[Array] = iter(arrays)
    return map_arrays(lambda _: next(rest), template)


def select_rows(state: Any, rows: Any) -> Any:
    """The state of some of the streams, by number, mask or slice."""
    return map_arrays(lambda array_BH: array_BH[rows].copy(), state)


def stack_rows(states: Sequence[Any]) -> Any:
    """One state of the streams of several."""
    return map_arrays(lambda *arrays: np.concatenate(arrays), *states)


def reset_rows(state: Any, mask_B: Array) -> Any:
    """The state with zeros where the mask holds."""
    keep_B1 = ~np.asarray(mask_B, bool)[:, None]
    return map_arrays(lambda array_BH: np.where(keep_B1, array_BH, array_BH.dtype.type(0)), state)


def concatenate_state(state: Any) -> Array:
    """The one array [B,sum] of ``state_is_tuple=False``: the layers side by side."""
    return np.concatenate(to_arrays(state), axis=1)


def split_state(block: Block, array: Array) -> Any:
    """The inverse of ``concatenate_state``, for a stack or a cell."""
    array = np.asarray(array)
    template = block.initial_state(1)
    widths = [part.shape[1] for part in to_arrays(template)]
    if array.ndim != 2 or array.shape[1] != sum(widths):
        raise SettingError(
            "state",
            array.shape,
            f"must have the shape [B, {sum(widths)}]",
            "give the array of concatenate_state",
        )
    parts = np.split(array, np.cumsum(widths)[:-1], axis=1)
    return from_arrays(template, [np.ascontiguousarray(part) for part in parts])
