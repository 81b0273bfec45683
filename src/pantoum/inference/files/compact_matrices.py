"""How the file of a finished run holds its matrices: as codes of eight bits, or in float16.

    NAME        I8  [G,K]   codes of -127 to 127
    NAME.scale  F32 [G]     one for each row; a number is code * scale

That is the form of a file in int8, but such a matrix is read as float32. It takes a quarter of the bytes. A
scale has 16 bits of its number, so that every product of a code and a scale is exact in float32. Where codes
cost too much (``training.keep_best`` measures it) matrices are in float16, half of the bytes, which keeps 11
bits of a number. A matrix with a number beyond the range of a form stays float32.

Tables of logits are codes up to a greatest one (``compact_table``). What a form costs depends on the model:
``training.keep_best`` measures it and takes the first that costs little. Coarse codes of a table cost nothing
that can be measured in one model, and 0.0008 nats per character in an ensemble of four, whose table is a
mean; matrices hardly ever cost anything (decision 074).

What is read from such a file is float32 again, and either form of that is the same file: a run that is
resumed after it has finished writes the same bytes.

Shapes: G rows, K columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from pantoum.inference.files.compact_table import compacted
from pantoum.kernels import Array

SCALE = ".scale"
"""After a parameter's name: the scales of its rows."""
LARGEST = float(np.finfo(np.float16).max)
MOST_CODE, SCALE_BITS = 127, 16
LEAST = 2.0**-100
"""A row whose largest number is below this counts as zeros."""
BLOCK = 1 << 18
"""Numbers that are coded at a time."""
Arrays: TypeAlias = dict[str, Array]


Form: TypeAlias = "Callable[[Mapping[str, Array]], tuple[Arrays, Arrays]]"
"""Gives (the parameters as a file holds them, and as whoever reads the file has them in float32)."""


FinishedForm: TypeAlias = "Callable[[Mapping[str, Array], Sequence[str]], tuple[Arrays, Arrays]]"
"""The same as a ``Form``, of all weights: it takes them and the names of the tables among them."""


def finished_forms(tables: Sequence[str]) -> tuple[FinishedForm, ...]:
    """Those for a model with these tables of logits, the smallest first."""
    smallest, exact, halves = (
        partial(_held, coded, 31),
        partial(_held, coded, 127),
        partial(_held, halved, 127),
    )
    return (smallest, exact, halves) if tables else (exact, halves)


def _held(
    matrices: Form, greatest_code: int, weights: Mapping[str, Array], tables: Sequence[str]
) -> tuple[Arrays, Arrays]:
    """``greatest_code``: of a table."""
    held, after = compacted(weights, tables, greatest_code)
    made, read = matrices({name: array for name, array in weights.items() if name not in tables})
    return {name: array for name, array in held.items() if name not in read} | made, after | read


def coded(parameters: Mapping[str, Array]) -> tuple[Arrays, Arrays]:
    """Matrices as codes."""
    held: Arrays = {}
    after: Arrays = {}
    for name, array in parameters.items():
        found = _codes(array)
        if found is None:
            held[name] = after[name] = array
        else:
            held[name], held[name + SCALE], after[name] = found
    return held, after


def halved(parameters: Mapping[str, Array]) -> tuple[Arrays, Arrays]:
    """Matrices in float16."""
    held = {name: _half(array) for name, array in parameters.items()}
    return held, {name: widened(array) for name, array in held.items()}


def coded_names(arrays: Mapping[str, Array]) -> set[str]:
    """The parameters that the arrays of a file hold as codes."""
    with_scale = {name[: -len(SCALE)] for name in arrays if name.endswith(SCALE)} & arrays.keys()
    return {name for name in with_scale if arrays[name].dtype == np.int8}


def is_half(array: Array) -> bool:
    """Whether a file's array is in float16."""
    return array.dtype == np.float16


def widened(array: Array) -> Array:
    """An array of a file in float32, where it is in float16."""
    return array.astype(np.float32) if is_half(array) else array


@np.errstate(over="ignore")  # such a matrix stays what it is
def _codes(weight_GK: Array) -> tuple[Array, Array, Array] | None:
    """(codes, scales, the numbers that they stand for); ``None`` where the array stays what it is."""
    if weight_GK.dtype != np.float32 or weight_GK.ndim != 2 or not weight_GK.size:
        return None
    G, K = weight_GK.shape
    codes_GK, scales_G = np.empty((G, K), np.int8), np.empty(G, np.float32)
    after_GK = np.empty((G, K), np.float32)
    rows = max(1, BLOCK // K)
    for start in range(0, G, rows):
        here = slice(start, start + rows)
        scales_G[here] = _scales(np.abs(weight_GK[here]).max(axis=1))
        divided_RK = weight_GK[here] / np.where(scales_G[here] > 0, scales_G[here], np.inf)[:, None]
        codes_GK[here] = np.rint(divided_RK)
        np.multiply(codes_GK[here], scales_G[here, None], out=after_GK[here], dtype=np.float32)
    return (codes_GK, scales_G, after_GK) if np.isfinite(after_GK).all() else None


def _scales(largest_G: Array) -> Array:
    """The least numbers of ``SCALE_BITS`` bits that reach the largest number of each row with the largest
    code."""
    mantissas, exponents = np.frexp(largest_G.astype(np.float64) / MOST_CODE)
    mantissas = np.ceil(np.ldexp(mantissas, SCALE_BITS))
    scales_G: Array = np.ldexp(mantissas, exponents - SCALE_BITS)
    return np.where(largest_G < LEAST, 0.0, scales_G).astype(np.float32)


def _half(array: Array) -> Array:
    fits = array.dtype == np.float32 and array.ndim == 2
    if not fits or max(array.max(initial=0), -array.min(initial=0)) > LARGEST:
        return array
    half: Array = array.astype(np.float16)
    return half
