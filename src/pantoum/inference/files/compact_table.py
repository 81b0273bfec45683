"""How the file of a finished run holds a table of logits [R,V]: the rows that were used, as codes.

    NAME.used       U8 [R / 8]  one bit per row, the first row lowest: whether it is used
    NAME.exponents  I8 [U]      of each used row, in order
    NAME.codes      U8 [n]      the codes, int8 [U,V], as one stream of zlib

A number of a used row is code * 2^exponent (``kernels.row_codes``), the others are 0. No such file makes a
reader take more than ``MOST_TIMES`` its size and ``SPARE``, whether the table is read as codes or, to train
on, as float32; a table that would is written in float32 under its own name. A reader knows R and V before: it
compares the sizes of the arrays with these before it makes any of its own.

Shapes: R rows of all orders, U used ones, V symbols.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from pantoum.kernels import Array, RowCodes
from pantoum.kernels.row_codes import MOST, places

MOST_TIMES = 10
SPARE = 64 << 20
PIECE = 1 << 16
"""Bytes of a stream that are unpacked at a time."""


def parts_of(table: str) -> tuple[str, str, str]:
    """The names of the arrays of a table in this form."""
    return f"{table}.used", f"{table}.exponents", f"{table}.codes"


def compact_tables(arrays: Mapping[str, Array], tables: Sequence[str]) -> list[str]:
    """The tables that the arrays of a file hold in this form."""
    return [table for table in tables if parts_of(table)[2] in arrays]


def compacted(
    parameters: Mapping[str, Array], tables: Sequence[str], most: int = MOST
) -> tuple[dict[str, Array], dict[str, Array]]:
    """(the parameters as a file holds them, and as whoever reads the file has them in float32). ``most``: the
    greatest code."""
    held, after = dict(parameters), dict(parameters)
    for table in tables:
        found = _compacted(parameters[table], most) if table in parameters else None
        if found is not None:
            parts, after[table] = found
            del held[table]
            held |= zip(parts_of(table), parts, strict=True)
    return held, after


def _compacted(table_RV: Array, most_code: int) -> tuple[tuple[Array, Array, Array], Array] | None:
    """(the three arrays, the table as it is read); ``None`` where it does not fit this form."""
    if len(table_RV) % 8:
        return None
    coded = RowCodes.of(table_RV, most_code)
    stream = np.frombuffer(zlib.compress(coded.codes_UV[1:].tobytes(), 6), np.uint8)
    exponents_U = np.frexp(coded.scales_U[1:])[1] - 1
    parts = np.packbits(coded.places_R > 0, bitorder="little"), exponents_U.astype(np.int8), stream
    most = MOST_TIMES * sum(array.nbytes for array in parts) + SPARE
    if len(exponents_U) == 0 or coded.codes_UV.size > most or 4 * table_RV.size > most:
        return None
    return parts, coded.floats()


def row_codes(arrays: Mapping[str, Array], table: str, shape: tuple[int, int]) -> RowCodes:
    """A table [R,V] of a file; ``ValueError`` says what is wrong with it."""
    held = {name: arrays.get(name) for name in parts_of(table)}
    found = {
        name: (None if array is None else (array.dtype.name, array.ndim)) for name, array in held.items()
    }
    used, exponents, codes = held.values()
    if (
        used is None
        or exponents is None
        or codes is None
        or list(found.values()) != [("uint8", 1), ("int8", 1), ("uint8", 1)]
    ):
        raise ValueError(f"its table {table} is not complete: {found}")
    (R, V), U = shape, len(exponents)
    most = MOST_TIMES * sum(array.nbytes for array in (used, exponents, codes)) + SPARE
    if 8 * len(used) != R or not 0 < U <= R or most < 4 * R * V:
        raise ValueError(
            f"its table {table} has bits for {8 * len(used):,} rows and exponents for {U:,}; {R:,} rows of "
            f"{V:,} numbers are needed, and such a file may hold {most // 4:,} numbers"
        )
    used_R = np.unpackbits(used, bitorder="little").view(bool)
    if np.count_nonzero(used_R) != U:
        marked = np.count_nonzero(used_R)
        raise ValueError(f"its table {table} has exponents for {U:,} rows and marks {marked:,}")
    codes_UV = np.zeros((U + 1, V), np.int8)
    try:
        fits = _unpack(codes, codes_UV[1:].reshape(-1))
    except zlib.error as problem:
        raise ValueError(f"its table {table} cannot be unpacked: {problem}") from None
    if not fits:
        raise ValueError(f"its table {table} is not {U:,} rows of {V:,} codes")
    scales_U = np.zeros(U + 1, np.float32)
    scales_U[1:] = np.ldexp(np.float32(1), exponents.astype(np.int32))
    if codes_UV.min() < -127 or not np.isfinite(scales_U * 127).all():
        raise ValueError(f"its table {table} holds codes or exponents that no table has")
    return RowCodes(codes_UV, scales_U, places(used_R))


def _unpack(stream: Array, out: Array) -> bool:
    """Unpack a stream, a piece at a time, into an array; whether it fills it exactly and then ends."""
    unpacker, end = zlib.decompressobj(), 0
    for begin in range(0, len(stream), PIECE):
        if unpacker.eof:
            return False
        packed, more = stream[begin : begin + PIECE].tobytes(), True
        while more and not unpacker.eof:
            data = unpacker.decompress(packed, PIECE)
            if len(data) > len(out) - end:
                return False
            out[end : end + len(data)] = np.frombuffer(data, np.int8)
            end += len(data)
            packed, more = unpacker.unconsumed_tail, len(data) == PIECE or bool(unpacker.unconsumed_tail)
    return unpacker.eof and not unpacker.unused_data and end == len(out)
