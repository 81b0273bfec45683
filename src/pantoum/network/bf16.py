"""Numbers of bf16 in arrays of float32: rounding to them, and their two bytes for a message.

A bf16 number is the upper half of a float32 number: the same exponent, 8 significant bits. NumPy has no such
dtype, so values stay float32 whose lower half is zero; what travels is the upper half, as uint16.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels import Array

__all__ = ["from_two_bytes", "round_to_bf16", "two_bytes"]

BLOCK = 1 << 14
"""Numbers that are rounded at a time: they stay in the cache of a processor."""


def round_to_bf16(values: Array) -> None:
    """Each float32 number becomes the nearest one of bf16, of two the even one, in place. The array is
    contiguous. What is not finite stays so; the largest numbers become infinite."""
    flat_N = values.reshape(-1)
    for start in range(0, flat_N.size, BLOCK):
        part = flat_N[start : start + BLOCK]
        nan = np.isnan(part)
        if nan.any():
            part[nan] = np.nan  # the bits of some others would be carried over to zero
        bits = part.view(np.uint32)
        half = np.right_shift(bits, 16)
        half &= 1
        half += 0x7FFF  # 0x8000, half of the last bit that stays, if that bit is odd
        bits += half
        bits &= 0xFFFF0000


def two_bytes(values: Array, out: Array) -> None:
    """The upper halves of float32 numbers, as uint16; exact if these are numbers of bf16."""
    np.right_shift(values.reshape(-1).view(np.uint32), 16, out=out.reshape(-1), casting="unsafe")


def from_two_bytes(halves: Array, out: Array) -> None:
    """The inverse of ``two_bytes``, into float32."""
    np.left_shift(halves.reshape(-1), 16, out=out.reshape(-1).view(np.uint32), dtype=np.uint32)
