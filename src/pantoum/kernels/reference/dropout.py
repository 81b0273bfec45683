"""Dropout (Srivastava et al. 2014) whose mask is a function of where it falls, not of a generator's past.

Each draw is a hash of (seed, step, layer, stream, position, unit), so a mask is the same on any number of
ranks, in any order, in any language, and never stored: the backward pass draws it again. All arithmetic is
modulo 2^32.

    mix(x):  x ^= x >> 16;  x *= 0x7feb352d;  x ^= x >> 15;  x *= 0x846ca68b;  x ^= x >> 16
    key = 0x70616e74;  for w in (seed mod 2^32, seed div 2^32, step, layer):  key = mix(key ^ w)
    row = mix(mix(key ^ stream) ^ position)
    word = mix(row + (unit div 2) * 0x9e3779b9)
    draw = (word >> 16 * (unit mod 2)) & 0xffff
    kept where draw >= threshold = round(rate * 65536), and then scaled by 65536 / (65536 - threshold)

``mix`` is Wellons's lowbias32. ``stream`` is the row's global number, ``position`` the step within the
chunk, or 0 for the variational kind, which keeps one mask over the chunk (Gal and Ghahramani 2016). Embedded
symbols have variational masks of their own, with the number of the symbol in place of that of the row. One
hash serves two units: 16 bits place a rate within 1/131072, and the scale is that of the threshold, so the
expectation is exact.

Shapes: T steps, B streams, H units.
"""

from __future__ import annotations

import numpy as np

from pantoum.kernels.types import Array, DropoutDraw

__all__ = ["dropout", "dropout_scales", "dropout_threshold", "mix"]

START, GOLDEN = 0x70616E74, np.uint32(0x9E3779B9)
FIRST, SECOND = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)
LEVELS = 1 << 16


def dropout(x_TBH: Array, rate: float, layer: int, draw: DropoutDraw, out: Array | None = None) -> Array:
    """x with units dropped. Linear in x and its own transpose: gradients go back by the same call."""
    T, _, H = x_TBH.shape
    y_TBH = np.empty_like(x_TBH) if out is None else out
    threshold = dropout_threshold(rate)
    scale = x_TBH.dtype.type(LEVELS / (LEVELS - threshold))
    rows_TB = _row_keys(layer, draw, T)
    offsets_U = np.arange((H + 1) // 2, dtype=np.uint32) * GOLDEN
    for t in range(T):
        if t < len(rows_TB):
            words_BU = mix(rows_TB[t][:, None] + offsets_U)
            mask_BH = (_halves(words_BU)[:, :H] >= threshold) * scale
        np.multiply(x_TBH[t], mask_BH, out=y_TBH[t])
    return y_TBH


def dropout_scales(units_TB: Array, rate: float, layer: int, draw: DropoutDraw) -> Array:
    """What ``dropout`` multiplies one unit of each row by [T,B], in float64: 0, or the scale."""
    T, _ = units_TB.shape
    threshold = dropout_threshold(rate)
    rows_TB = _row_keys(layer, draw, T)
    units_TB = units_TB.astype(np.uint32)
    words_TB = mix(rows_TB + (units_TB >> np.uint32(1)) * GOLDEN)
    draws_TB = (words_TB >> np.uint32(16) * (units_TB & np.uint32(1))) & np.uint32(0xFFFF)
    return np.where(draws_TB >= threshold, LEVELS / (LEVELS - threshold), 0.0)


def dropout_threshold(rate: float) -> int:
    """How many of the 65536 draws drop."""
    return min(round(rate * LEVELS), LEVELS - 1)


def mix(x: Array) -> Array:
    """Hash 32-bit words in place (a bijection; Wellons 2018, lowbias32)."""
    x ^= x >> np.uint32(16)
    x *= FIRST
    x ^= x >> np.uint32(15)
    x *= SECOND
    x ^= x >> np.uint32(16)
    return x


def _row_keys(layer: int, draw: DropoutDraw, steps: int) -> Array:
    positions = 1 if draw.variational else steps
    key = np.array([START], np.uint32)
    for word in (draw.seed & 0xFFFFFFFF, draw.seed >> 32, draw.step, layer):
        mix(np.bitwise_xor(key, np.uint32(word & 0xFFFFFFFF), out=key))
    stream_B = mix(key ^ draw.streams_B.astype(np.uint32))
    return mix(stream_B[None, :] ^ np.arange(positions, dtype=np.uint32)[:, None])


def _halves(words_BU: Array) -> Array:
    """The 16-bit halves of each word, low one first, whatever the machine's byte order."""
    return words_BU.astype("<u4", copy=False).view("<u2")
