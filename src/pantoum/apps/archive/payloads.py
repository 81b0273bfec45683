"""What frames hold that a model codes: texts in lanes, records that are read alone, and their tokens.

    text     tokens, lanes, bytes of the literals; the literals, packed by zlib; the code of all lanes
    records  records, whether a line end follows the last one, bytes of the columns; the columns, packed by
             zlib; the code of each record

Numbers are written as in ``archive``. The columns are the tokens of each record, then the bytes of the code
of each; with no tokens the code is the record itself.

A tokenizer may lack characters or words, and not all bytes are UTF-8. A byte that is none becomes a lone
surrogate (Python's ``surrogateescape``); what the vocabulary lacks is ``<unk>``, and its bytes stand beside
the tokens as a *literal*: their number, and these. Whatever is encoded is decoded at once and compared: where
a tokenizer cannot give some bytes back (one that splits at white space, say), that comes out here.

Shapes: see ``coding``.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from pantoum.apps.archive.archive import (
    MOST_PLAIN,
    MOST_RECORDS,
    Frame,
    Kind,
    from_numbers,
    refusal,
    to_numbers,
)
from pantoum.apps.archive.coding import LaneDecoding, LaneEncoding, rows_for, side_by_side
from pantoum.errors import ArchiveError
from pantoum.seams import Array, LoadedModel, Tokenizer
from pantoum.seams import document_mark as mark
from pantoum.seams import joined_pieces as joined

__all__ = [
    "END", "Columns", "code_records", "code_texts", "columns_of", "decode_records", "decode_texts", "decoded",
    "encoded", "plain_of", "text_parts", "text_payload",
]  # fmt: skip

TOKENS_A_LANE = 4096
"""A lane begins without a context, which costs some bytes; more lanes are read in less time."""
MOST_LANES = 128
END = b"\n"


def code_texts(model: LoadedModel, parts: Sequence[bytes]) -> list[Frame | None]:
    """A frame of each text, read side by side; ``None`` where the tokenizer cannot express it."""
    units: list[tuple[LaneEncoding, list[bytes]] | None] = []
    for part in parts:
        found = encoded(model.tokenizer, part)
        units.append(
            None if found is None else (LaneEncoding(found[0], _lanes(model, len(found[0]))), found[1])
        )
    side_by_side(model, [unit[0] for unit in units if unit is not None])
    return [
        None
        if unit is None
        else Frame(
            Kind.MODEL,
            len(part),
            zlib.crc32(part),
            text_payload(unit[0].count, unit[0].rows, unit[1], unit[0].bits()),
        )
        for part, unit in zip(parts, units, strict=True)
    ]


def _lanes(model: LoadedModel, count: int) -> int:
    return max(1, min(count // TOKENS_A_LANE, MOST_LANES, rows_for(model.vocab_size)))


def text_payload(count: int, rows: int, literals: Sequence[bytes], bits: bytes) -> bytes:
    """The payload of so many tokens in so many lanes."""
    packed = zlib.compress(b"".join(to_numbers([len(one)]) + one for one in literals), 9) if literals else b""
    return to_numbers([count, rows, len(packed)]) + packed + bits


def decode_texts(model: LoadedModel, frames: Sequence[Frame]) -> list[bytes | ArchiveError]:
    """The text of each frame, read side by side, or what is wrong with it."""
    found: list[bytes | ArchiveError] = [b""] * len(frames)
    units: list[tuple[int, LaneDecoding, list[bytes]]] = []
    for place, frame in enumerate(frames):
        try:
            units.append((place, *_text_unit(model, frame)))
        except ArchiveError as problem:
            found[place] = problem
    side_by_side(model, [unit for _, unit, _ in units])
    for place, unit, literals in units:
        try:
            found[place] = decoded(model.tokenizer, unit.checked(), literals, frames[place].plain)
        except ArchiveError as problem:
            found[place] = problem
    return found


def text_parts(frame: Frame) -> tuple[int, int, list[bytes], bytes]:
    """(how many tokens in how many lanes, the literals, the code) of a frame of a text."""
    try:
        (count, rows, size), at = from_numbers(frame.payload, 3)
        if count > frame.plain or rows > MOST_LANES or bool(rows) != bool(count):
            raise ValueError("its count of tokens is impossible")
        literals = _literals(frame.payload[at : at + size]) if size else []
    except (ValueError, zlib.error) as problem:
        raise refusal(problem) from None
    return count, rows, literals, frame.payload[at + size :]


def _text_unit(model: LoadedModel, frame: Frame) -> tuple[LaneDecoding, list[bytes]]:
    count, rows, literals, bits = text_parts(frame)
    if rows > rows_for(model.vocab_size):
        raise refusal("its count of lanes is impossible")
    return LaneDecoding(bits, count, max(1, rows)), literals


def _literals(packed: bytes) -> list[bytes]:
    data, found, at = _unpacked(packed, 2 * MOST_PLAIN), list[bytes](), 0
    while at < len(data):
        (size,), used = from_numbers(data[at : at + 5], 1)
        at += used
        if size > len(data) - at:
            raise ValueError("its bytes without a token are cut short")
        found.append(data[at : at + size])
        at += size
    return found


def code_records(model: LoadedModel, records: Sequence[bytes], ended: bool | None) -> Frame:
    """The frame of some records. ``ended``: whether a line end follows the last of them; ``None``: they are
    no lines."""
    units = []
    for record in records:
        found = encoded(model.tokenizer, record)
        units.append(None if found is None or found[1] else LaneEncoding(found[0]))
    side_by_side(model, [unit for unit in units if unit is not None])
    tokens, codes = [], []
    for record, unit in zip(records, units, strict=True):
        code = record if unit is None else unit.bits()
        kept = unit is not None and len(code) < len(record)
        tokens.append(unit.count if kept and unit is not None else 0)
        codes.append(code if kept else record)
    packed = zlib.compress(to_numbers([*tokens, *map(len, codes)]), 9)
    head = to_numbers([len(records), bool(ended), len(packed)])
    plain = plain_of(records, ended)
    return Frame(
        Kind.RECORDS, len(plain), zlib.crc32(plain), head + packed + b"".join(codes), records=len(records)
    )


def plain_of(records: Sequence[bytes], ended: bool | None) -> bytes:
    """The bytes that records stand for."""
    return b"".join(records) if ended is None else END.join(records) + (END if ended and records else b"")


@dataclass(frozen=True)
class Columns:
    """What a frame of records says of each of them."""

    tokens: list[int]
    begins: list[int]
    """Where the code of each begins, and where the last one ends."""
    ended: bool

    def __len__(self) -> int:
        return len(self.tokens)


def columns_of(frame: Frame) -> Columns:
    """The columns of a frame of records; ``ArchiveError`` where they cannot be."""
    try:
        (count, ended, size), at = from_numbers(frame.payload, 3)
        if count > MOST_RECORDS or ended > 1:
            raise ValueError("its count of records is impossible")
        numbers, _ = from_numbers(_unpacked(frame.payload[at : at + size], 10 * count))
        if len(numbers) != 2 * count or at + size + sum(numbers[count:]) != len(frame.payload):
            raise ValueError("its columns do not fit")
        if sum(numbers[:count]) > MOST_PLAIN:
            raise ValueError("its count of tokens is impossible")
    except (ValueError, zlib.error) as problem:
        raise refusal(problem) from None
    begins = list(accumulate(numbers[count:], initial=at + size))
    return Columns(numbers[:count], begins, bool(ended))


def decode_records(model: LoadedModel, frame: Frame, columns: Columns, chosen: Sequence[int]) -> list[bytes]:
    """Some of the records of a frame; the others are not looked at."""
    codes = [frame.payload[columns.begins[k] : columns.begins[k + 1]] for k in chosen]
    units = [LaneDecoding(code, columns.tokens[k]) for code, k in zip(codes, chosen, strict=True)]
    side_by_side(model, units)
    return [
        decoded(model.tokenizer, unit.checked(), (), MOST_PLAIN) if unit.count else code
        for unit, code in zip(units, codes, strict=True)
    ]


def _unpacked(data: bytes, most: int) -> bytes:
    """What zlib packed, of at most so many bytes."""
    unpacking = zlib.decompressobj()
    found = unpacking.decompress(data, most + 1)
    if len(found) > most or not unpacking.eof or unpacking.unused_data:
        raise ValueError("its packed numbers are impossible")
    return found


AT_ONCE = 256
"""Tokens that are decoded at once: a word may have 64 KB, and what is too long is refused."""


def encoded(tokenizer: Tokenizer, data: bytes) -> tuple[Array, list[bytes]] | None:
    """(the tokens of some bytes, the literals of those that are unknown), no more of them than bytes;
    ``None`` where the tokenizer cannot give these bytes back."""
    text = (
        data.decode("latin-1") if tokenizer.encoding == "latin-1" else data.decode("utf-8", "surrogateescape")
    )
    for marked in {mark(text, tokenizer.documents): None, text: None}:
        try:
            tokens = joined(tokenizer.encode_blocks([marked]))
            literals = list(_unknown(tokenizer, marked, tokens))
            given = decoded(tokenizer, tokens, literals, len(data))
        except (ArchiveError, UnicodeEncodeError):
            continue
        if given == data and len(tokens) <= len(data):
            return tokens.astype(np.int32), literals
    return None


def _unknown(tokenizer: Tokenizer, text: str, tokens: Array) -> Iterator[bytes]:
    """The bytes of the unknown tokens of a text."""
    unknown = np.flatnonzero(tokens == tokenizer.unk) if tokenizer.unk is not None else ()
    if not len(unknown):
        return
    ends = np.cumsum([characters for characters, _ in tokenizer.token_lengths(text)])
    if len(ends) != len(tokens):
        raise refusal("a token is not part of the text")
    for token in unknown:
        begin = int(ends[token - 1]) if token else 0
        yield text[begin : int(ends[token])].encode("utf-8", "surrogateescape")


def decoded(tokenizer: Tokenizer, tokens: Array, literals: Sequence[bytes], most: int) -> bytes:
    """The bytes of some tokens; ``ArchiveError`` where they are more than ``most``."""
    unk = -1 if tokenizer.unk is None else tokenizer.unk
    borders = [] if unk < 0 else np.flatnonzero(tokens == unk).tolist()
    if len(borders) != len(literals):
        raise refusal("a frame has too few literals, or too many")
    at_once = (
        len(tokens) + 1 if tokenizer.declared.spaces == "between" else AT_ONCE
    )  # spaces depend on neighbours
    found, have, begin = list[bytes](), 0, 0
    for border, literal in zip([*borders, len(tokens)], [*literals, b""], strict=True):
        for first in range(begin, border, at_once):
            found.append(tokenizer.decode_bytes(tokens[first : min(first + at_once, border)]))
            have += len(found[-1])
            if have > most:
                raise refusal(f"a frame expands to more than {most:,} bytes")
        found.append(literal)
        have += len(literal)
        begin = border + 1
    if have > most:
        raise refusal(f"a frame expands to more than {most:,} bytes")
    return b"".join(found)
