"""How the file of a finished run holds its matrices: in float16, half the size.

Float16 keeps 11 bits of a number, and the run's own products in bfloat16 read 8 of them. A matrix with a
number beyond float16 stays float32. What is read from such a file is float32 again, and halving that gives
the same file: a run that is resumed after it has finished writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pantoum.kernels import Array

__all__ = ["halved", "is_half", "widened"]

LARGEST = float(np.finfo(np.float16).max)


def is_half(array: Array) -> bool:
    """Whether a file's array is in this form."""
    return array.dtype == np.float16


def halved(
    parameters: Mapping[str, Array], tables: Sequence[str] = ()
) -> tuple[dict[str, Array], dict[str, Array]]:
    """(the parameters as a file holds them, and as whoever reads the file has them in float32). ``tables``
    (``compact_table``) stay as they are."""
    held = {name: array if name in tables else _half(array) for name, array in parameters.items()}
    return held, {name: widened(array) for name, array in held.items()}


def widened(array: Array) -> Array:
    """An array of a file in float32, where it is in this form."""
    return array.astype(np.float32) if is_half(array) else array


def _half(array: Array) -> Array:
    fits = array.dtype == np.float32 and array.ndim == 2
    if not fits or max(array.max(initial=0), -array.min(initial=0)) > LARGEST:
        return array
    half: Array = array.astype(np.float16)
    return half
