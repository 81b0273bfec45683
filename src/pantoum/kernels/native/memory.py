"""Arrays at the border: what the core gets is checked here, and aligned memory is made here.

The core trusts addresses and sizes. So every array is checked for dtype, shape, order and alignment before
its address is taken; what does not fit is an error of ours, never a crash.
"""

from __future__ import annotations

from ctypes import addressof, c_char

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.array import Array
from pantoum.kernels.workspace import Workspace

__all__ = ["ALIGNMENT", "address", "aligned", "bytes_of", "floats", "given", "optional", "result"]

ALIGNMENT = 64
FLOAT32 = np.dtype(np.float32)


def address(array: Array) -> int:
    """Where the array's first element is."""
    try:  # a quarter of the time of what numpy offers, and a step asks a hundred times
        return addressof(c_char.from_buffer(array.data))
    except (TypeError, ValueError):  # read-only, empty, or not in C order
        where: int = array.__array_interface__["data"][0]
        return where


def floats(array: Array, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic] = FLOAT32) -> int:
    """The address of an array that must have this shape and dtype, in C order."""
    if array.shape != shape or array.dtype != dtype or not array.flags.carray:
        order = "" if array.flags.carray else ", not writable in C order"
        raise CoreError(
            f"{name} is {array.dtype} of shape {array.shape}{order}: the core takes {dtype} of "
            f"shape {shape} in C order; convert it with np.ascontiguousarray"
        )
    return address(array)


def given(array: Array, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic] = FLOAT32) -> int:
    """The same for an array that is only read."""
    flags = array.flags
    if array.shape != shape or array.dtype != dtype or not flags.c_contiguous or not flags.aligned:
        raise CoreError(
            f"{name} is {array.dtype} of shape {array.shape} with strides {array.strides}: the "
            f"core takes {dtype} of shape {shape} in C order; convert it with "
            "np.ascontiguousarray"
        )
    return address(array)


def optional(
    array: Array | None, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic] = FLOAT32
) -> int | None:
    """The same for an array that may be left out."""
    return None if array is None else given(array, name, shape, dtype)


def result(out: Array | None, name: str, shape: tuple[int, ...]) -> tuple[Array, int]:
    """The array for a result, given or fresh, and its address."""
    array: Array = np.empty(shape, np.float32) if out is None else out
    return array, floats(array, name, shape)


def aligned(size: int) -> Array:
    """Bytes that begin at a cache line."""
    block = np.empty(size + ALIGNMENT, np.uint8)
    start = -address(block) % ALIGNMENT
    return block[start : start + size]


def bytes_of(workspace: Workspace, name: str, size: int) -> int:
    """The address of so many bytes of a workspace, at a cache line."""
    where = address(workspace.array(name, (size + ALIGNMENT,), np.uint8))
    return where + -where % ALIGNMENT
