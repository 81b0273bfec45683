"""The weights in a model file: floats, or matrices in int8 with a scale for each row; and their smaller
forms.

A file in int8 says ``"precision": "int8"`` in its configuration. There every parameter with two axes (input
vectors, ``weight_ih``, ``weight_hh``, ``head.weight``) is int8 under its name, with ``NAME.scale``, float32,
one for each row; everything else is float32 as ever. Otherwise the model is float32, and its matrices are
float32, or in the file of a finished run codes or float16 that are read as float32. In
both, tables of logits may be compact.
``weights`` gives each parameter as it is used, ``plain`` a file in float32 with the values that the codes
stand for.

**Matrices of a finished run** are codes of eight bits, or float16:

    NAME        I8  [G,K]   codes of -127 to 127
    NAME.scale  F32 [G]     one for each row; a number is code * scale

A scale has 16 bits of its number, so that every product of a code and a scale is exact in float32. float16
takes half of the bytes and keeps 11 bits of a number. A matrix with a number beyond the range of a form stays
float32. What a form costs depends on the model: ``training.keep_best`` measures it and takes the first that
costs little (decision 074). What is read from such a file is float32 again, and either form of that is the
same file: a run that is resumed after it has finished writes the same bytes.

**A compact table of logits** [R,V] has the rows that were used, as codes:

    NAME.used       U8 [R / 8]  one bit per row, the first row lowest: whether it is used
    NAME.exponents  I8 [U]      of each used row, in order
    NAME.codes      U8 [n]      the codes, int8 [U,V], as one stream of zlib

A number of a used row is code * 2^exponent (``kernels.RowCodes``), the others are 0. No such file makes a
reader take more than ``MOST_TIMES`` its size and ``SPARE_ROWS``: a table that would is written in float32
under its own name. A reader knows R and V before: it compares the sizes of the arrays with these before it
makes any.

Shapes: G rows and K columns of a matrix; R rows of all orders, U used ones, V symbols.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, TypeAlias

import numpy as np

from pantoum.config import ModelConfig, one_of
from pantoum.errors import ModelFileError
from pantoum.formats.model_file import ModelFile
from pantoum.kernels import Array, RowCodes
from pantoum.kernels.types import MOST, places
from pantoum.network.packing import Codes, Weight, floats
from pantoum.network.spec import declared, named
from pantoum.network.spec import number as declared_number
from pantoum.text.tokenizer import declared_size

PRECISION = "precision"
PRECISIONS = ("float32", "int8")
SPARE = 1 << 20
"""Numbers that the arrays of a file may lack until the check of each array names the wrong one."""


def shape_of(config: Mapping[str, Any]) -> tuple[ModelConfig, str]:
    """The network's shape and the file's precision, from a file's configuration."""
    precision = config.get(PRECISION, "float32")
    one_of(precision, "the model's precision", PRECISIONS)
    return ModelConfig.from_spec({key: value for key, value in config.items() if key != PRECISION}), precision


def weights(content: ModelFile) -> dict[str, Weight]:
    """The parameters by name: arrays, or codes where the file has these. ``ValueError`` says what is wrong
    with a compact table."""
    arrays = content.parameters
    config, precision = shape_of(content.config)
    compact, coded = compact_tables(arrays, named(config, "table")), coded_names(arrays)
    found: dict[str, Weight] = {}
    if compact:
        parameters = declared(config, declared_size(content.tokenizer))
        for table in compact:
            rows, symbols = parameters[table].shape
            found[table] = row_codes(arrays, table, (rows, symbols))
    for name in coded:
        found[name] = Codes(arrays[name], arrays[name + SCALE], stored=precision == "float32")
    parts = {part for table in compact for part in parts_of(table)}
    parts |= {part for name in coded for part in (name, name + SCALE)}
    return found | {name: widened(array) for name, array in arrays.items() if name not in parts}


def plain(content: ModelFile) -> ModelFile:
    """The same model in float32."""
    shape, precision = shape_of(content.config)
    compact = compact_tables(content.parameters, named(shape, "table"))
    small = compact or coded_names(content.parameters) or any(map(is_half, content.parameters.values()))
    if precision == "float32" and not small:
        return content
    parameters = {name: floats(weight) for name, weight in weights(content).items()}
    config = {key: value for key, value in content.config.items() if key != PRECISION}
    return replace(content, config=config, parameters=parameters)


def require_filled(config: ModelConfig, vocab_size: int, found: int, path: object) -> None:
    """Raise ``ModelFileError`` where the arrays of a file hold ``found`` numbers, far fewer than its
    configuration needs: a few bytes that could ask for gigabytes."""
    config.check_tables(vocab_size)
    needed = declared_number(config, vocab_size)
    if found + SPARE < needed:
        raise ModelFileError(
            f"{path}: its configuration needs {needed:,} numbers for {vocab_size:,} symbols, its "
            f"arrays hold {found:,}; use another copy of it, or train again"
        )


def number(weights: Mapping[str, Weight]) -> int:
    """How many parameters these weights are; scales are none."""
    return sum(prod(weight.shape) for weight in weights.values())


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


MOST_TIMES = 10
SPARE_ROWS = 64 << 20
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
    most = MOST_TIMES * sum(array.nbytes for array in parts) + SPARE_ROWS
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
    most = MOST_TIMES * sum(array.nbytes for array in (used, exponents, codes)) + SPARE_ROWS
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
    if np.min(codes_UV) < -127 or not np.isfinite(scales_U * 127).all():
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
