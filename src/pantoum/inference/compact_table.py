"""How the file of a finished run holds the table of n-grams [R,V]: the rows that were used, as codes.

    ngrams.weight.used       U8 [R / 8]  one bit per row, the first row lowest: whether it is used
    ngrams.weight.exponents  I8 [U]      of each used row, in order
    ngrams.weight.codes      U8 [n]      the codes, int8 [U,V], as one stream of zlib

A number of a used row is code * 2^exponent (``kernels.row_codes``), the others are 0. No such file makes a
reader take more than ``MOST_TIMES`` its size and ``SPARE``, whether the table is read as codes or, to train
on, as float32; a table that would is written in float32 under its own name.

Shapes: R rows of all orders, U used ones, V symbols.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from pantoum.kernels import Array, RowCodes
from pantoum.kernels.row_codes import places
from pantoum.network.ngrams import TABLE

__all__ = ["PARTS", "compacted", "is_compact", "row_codes"]

USED, EXPONENTS, CODES = (f"{TABLE}.{part}" for part in ("used", "exponents", "codes"))
PARTS = (USED, EXPONENTS, CODES)
MOST_TIMES = 10
SPARE = 64 << 20


def is_compact(arrays: Mapping[str, Array]) -> bool:
    """Whether a file's arrays hold a table in this form."""
    return CODES in arrays


def compacted(parameters: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """(the parameters as a file holds them, and as whoever reads the file has them in float32)."""
    table_RV = parameters.get(TABLE)
    if table_RV is None or len(table_RV) % 8:
        return dict(parameters), dict(parameters)
    coded = RowCodes.of(table_RV)
    stream = np.frombuffer(zlib.compress(coded.codes_UV[1:].tobytes(), 6), np.uint8)
    exponents_U = np.frexp(coded.scales_U[1:])[1] - 1
    held = {
        USED: np.packbits(coded.places_R > 0, bitorder="little"),
        EXPONENTS: exponents_U.astype(np.int8),
        CODES: stream,
    }
    others = {name: array for name, array in parameters.items() if name != TABLE}
    if len(exponents_U) == 0 or not _fits(held, coded.codes_UV.size, table_RV.size):
        return dict(parameters), dict(parameters)
    return {**others, **held}, {**others, TABLE: coded.floats()}


def row_codes(arrays: Mapping[str, Array]) -> RowCodes:
    """The table of a file; ``ValueError`` says what is wrong with it."""
    held = {name: arrays.get(name) for name in PARTS}
    found = {
        name: (None if array is None else (array.dtype.name, array.ndim)) for name, array in held.items()
    }
    used, exponents, codes = held[USED], held[EXPONENTS], held[CODES]
    if (
        used is None
        or exponents is None
        or codes is None
        or list(found.values()) != [("uint8", 1), ("int8", 1), ("uint8", 1)]
    ):
        raise ValueError(f"its table of n-grams is not complete: {found}")
    used_R = np.unpackbits(used, bitorder="little").astype(bool)
    U = len(exponents)
    if U == 0 or int(used_R.sum()) != U:
        raise ValueError(f"its table of n-grams has exponents for {U:,} rows and marks {int(used_R.sum()):,}")
    most = MOST_TIMES * sum(array.nbytes for array in (used, exponents, codes)) + SPARE
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(codes.tobytes(), most + 1)
    except zlib.error as problem:
        raise ValueError(f"its table of n-grams cannot be unpacked: {problem}") from None
    V = len(data) // U
    if not unpacker.eof or unpacker.unused_data or len(data) != U * V or not V or len(used_R) * V * 4 > most:
        raise ValueError(
            f"its table of n-grams is not {U:,} rows of codes, or larger than such a file may hold"
        )
    codes_UV = np.zeros((U + 1, V), np.int8)
    codes_UV[1:] = np.frombuffer(data, np.int8).reshape(U, V)
    scales_U = np.zeros(U + 1, np.float32)
    scales_U[1:] = np.ldexp(np.float32(1), exponents.astype(np.int32))
    if codes_UV.min() < -127 or not np.isfinite(scales_U * 127).all():
        raise ValueError("its table of n-grams holds codes or exponents that no table has")
    return RowCodes(codes_UV, scales_U, places(used_R))


def _fits(held: Mapping[str, Array], codes: int, numbers: int) -> bool:
    most = MOST_TIMES * sum(array.nbytes for array in held.values()) + SPARE
    return codes <= most and 4 * numbers <= most
