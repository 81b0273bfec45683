"""What an archive is made of: header, frames and index, each with its bytes (``archive``)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

import numpy as np

from pantoum.errors import ArchiveError

if TYPE_CHECKING:
    from _typeshed import SupportsRead

__all__ = [
    "DIGEST",
    "FRAME",
    "HEAD",
    "HEADER",
    "INDEX",
    "MAGIC",
    "MOST_BYTES",
    "MOST_PAYLOAD",
    "MOST_PLAIN",
    "MOST_RECORDS",
    "MOST_SLOTS",
    "RECORDS",
    "SUFFIX",
    "USE_ANOTHER",
    "VERSION",
    "ArchiveSource",
    "Frame",
    "Header",
    "Index",
    "Kind",
    "from_numbers",
    "refusal",
    "require_whole",
    "to_numbers",
]

MAGIC = b"PANTOUMZ"
VERSION = 2
SUFFIX = ".pantoum"
"""What the name of an archive ends with."""
HEADER = struct.Struct("<8sBBBBI")
HEAD = struct.Struct("<BB3s3sIIH")
FRAME, INDEX = 0xF5, 0xF6
MOST_PLAIN, MOST_PAYLOAD, MOST_RECORDS = 1 << 20, 1 << 22, 1 << 16
"""Bytes that a frame stands for, bytes of its payload, and its records, at most."""
MOST_SLOTS = 26
"""Contexts of 2^26 slots take 700 MB."""
DIGEST = 32
MOST_BYTES = 2**63 - 1
USE_ANOTHER = "use another copy of it, or save what is whole with --keep-going"
RECORDS = (None, "lines", "list")
ArchiveSource: TypeAlias = "SupportsRead[bytes | None]"
"""What can be read: a file or a pipe."""


class Kind(IntEnum):
    """What a payload is."""

    STORED = 0
    """The plain bytes."""
    MODEL = 1
    """A text, coded by the model."""
    RECORDS = 2
    """Records, each coded by the model alone."""
    BEGUN = 3
    """Bytes, coded by what learns from nothing, which begins here."""
    CONTINUED = 4
    """The same; it has learned from the frames before, back to the one where it began."""
    LEARNED = 5
    """The plain bytes, from which it has learned, too."""
    ADAPTED_BEGUN = 6
    """A text, coded by the model with contexts beside it, which begin here."""
    ADAPTED = 7
    """The same; they have learned from the frames before, back to the one where they began."""

    @property
    def learns(self) -> bool:
        """Whether the frames that follow may build on this one."""
        return self >= Kind.BEGUN

    @property
    def begins(self) -> bool:
        """Whether this one builds on none before."""
        return self in (Kind.BEGUN, Kind.ADAPTED_BEGUN)


@dataclass(frozen=True)
class Header:
    """What an archive says before its first frame."""

    model: str = ""
    """The SHA-256 of the model's file, 64 hex digits; empty: no model is needed."""
    records: str | None = None
    """``lines``, or ``list``: ``compress_many``; ``None``: a text in one piece."""
    slots: int = 0
    """The base-2 logarithm of the slots of contexts that learn from nothing; 0: no frame needs them."""

    def to_bytes(self) -> bytes:
        """The bytes of the header."""
        model = bytes.fromhex(self.model)
        place = RECORDS.index(self.records)
        head = HEADER.pack(MAGIC, VERSION, bool(model), place, self.slots, 0)[:12]
        return head + struct.pack("<I", crc32(model, crc32(head))) + model


@dataclass(frozen=True)
class Frame:
    """A part of an archive that is read alone."""

    kind: Kind
    plain: int
    """How many bytes it stands for."""
    crc: int
    """Their CRC-32."""
    payload: bytes
    records: int = 0

    @property
    def head(self) -> bytes:
        """The bytes before the payload."""
        sizes = (self.plain.to_bytes(3, "little"), len(self.payload).to_bytes(3, "little"))
        head = HEAD.pack(FRAME, self.kind, *sizes, self.crc, crc32(self.payload), 0)[:-2]
        return head + struct.pack("<H", crc32(head) & 0xFFFF)


@dataclass
class Index:
    """The frames of an archive, one after the other."""

    plain: list[int] = field(default_factory=list)
    payload: list[int] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    heads: int = 0
    """The CRC-32 of their heads."""

    def add(self, frame: Frame) -> None:
        """One more frame."""
        self.plain.append(frame.plain)
        self.payload.append(len(frame.payload))
        self.records.append(frame.records)
        self.heads = crc32(frame.head, self.heads)

    def to_bytes(self) -> bytes:
        """The end of the archive."""
        numbers = (n for frame in zip(self.plain, self.payload, self.records, strict=True) for n in frame)
        body = bytes([INDEX]) + to_numbers(numbers) + struct.pack("<I", self.heads)
        body += struct.pack("<I", len(body))
        return body + struct.pack("<I", crc32(body))

    def offsets(self, header: Header) -> list[int]:
        """Where the frames begin."""
        sizes = [HEAD.size + size for size in self.payload]
        return list(accumulate(sizes, initial=len(header.to_bytes())))[:-1]


def to_numbers(numbers: Iterable[int]) -> bytes:
    """Whole numbers from 0 on, as the index has them."""
    found = bytearray()
    for number in numbers:
        while number > 0x7F:
            found.append(number & 0x7F | 0x80)
            number >>= 7
        found.append(number)
    return bytes(found)


def from_numbers(data: bytes, count: int | None = None) -> tuple[list[int], int]:
    """(the first ``count`` numbers of some bytes, or all of them; how many bytes they have). ``ValueError``
    unless they are there, each below 2^35."""
    taken = np.frombuffer(data, np.uint8)[: None if count is None else 5 * count]
    ends = np.flatnonzero(taken < 0x80)[:count] + 1
    size = int(ends[-1]) if ends.size else 0
    begins = np.concatenate([[0], ends[:-1]])[: ends.size]
    if ends.size < (count or 0) or (count is None and size < len(data)) or (ends - begins > 5).any():
        raise ValueError("its numbers are cut")
    if not ends.size:
        return [], 0
    places = np.arange(size) - np.repeat(begins, ends - begins)
    numbers = np.add.reduceat((taken[:size].astype(np.int64) & 0x7F) << 7 * places, begins)
    return numbers.tolist(), size


def refusal(problem: object, advice: str = USE_ANOTHER) -> ArchiveError:
    """What is wrong with an archive, and what to do."""
    return ArchiveError(f"the archive cannot be used: {problem}; {advice}")


def require_whole(fits: bool, problem: str, advice: str = USE_ANOTHER) -> None:
    if not fits:
        raise refusal(problem, advice)
