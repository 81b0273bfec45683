"""The archive of compressed bytes: a header, frames that stand alone, an index at the end.

    header   at  bytes  what
             0   8      b"PANTOUMZ"
             8   1      version, 3
             9   1      1: a model is needed; 0: none
             10  1      what a record is: 0 there are none, 1 a line, 2 what ``compress_many`` was given
             11  4      CRC-32 of bytes 0 to 10 and of the SHA-256
             15  32     SHA-256 of the model's file, if one is needed

    frame    0   1      0xF5
             1   1      its kind (``Kind``)
             2   3      how many plain bytes it stands for, at most 2^20
             5   3      how many bytes its payload has
             8   4      CRC-32 of the plain bytes
             12  4      CRC-32 of the payload
             16  2      the lower half of the CRC-32 of bytes 0 to 15
             18         the payload

index    0   1      0xF6
             1          of each frame: plain bytes, bytes of the payload, records. Each number has seven of
                        its bits in a byte, the lowest first; the eighth says that more follow
                 4      CRC-32 of the first 18 bytes of all frames
                 4      how many bytes the index has so far
                 4      CRC-32 of them all

All numbers are little-endian. Every byte is under a checksum, and every checksum is of at most 4 MiB. A pipe
is read from its beginning to its end; a file can be read from its end, by the index. What a payload means is
known to ``apps.archive``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate
from typing import TYPE_CHECKING, BinaryIO, TypeAlias
from zlib import crc32

import numpy as np

from pantoum.errors import ArchiveError

if TYPE_CHECKING:
    from _typeshed import SupportsRead

__all__ = [
    "MAGIC", "MOST_BYTES", "MOST_PLAIN", "MOST_RECORDS", "NO_ARCHIVE", "SUFFIX", "USE_ANOTHER",
    "ArchiveSource", "Frame", "Header", "Index", "Kind", "frame_at", "from_numbers", "read", "read_header",
    "read_index", "refusal", "to_numbers",
]  # fmt: skip

MAGIC = b"PANTOUMZ"
VERSION = 3
SUFFIX = ".pantoum"
"""What the name of an archive ends with."""
HEADER = struct.Struct("<8sBBBI")
HEAD = struct.Struct("<BB3s3sIIH")
FRAME, INDEX = 0xF5, 0xF6
MOST_PLAIN, MOST_PAYLOAD, MOST_RECORDS = 1 << 20, 1 << 22, 1 << 16
"""Bytes that a frame stands for, bytes of its payload, and its records, at most."""
DIGEST = 32
MOST_BYTES = 2**63 - 1
ANOTHER_COPY = "use another copy of it"
USE_ANOTHER = f"{ANOTHER_COPY}, or recover the undamaged parts with --keep-going"
NO_ARCHIVE = "it is not an archive of pantoum", "give a file that `pantoum compress` wrote"
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

    def to_bytes(self) -> bytes:
        """The bytes of the header."""
        model = bytes.fromhex(self.model)
        place = RECORDS.index(self.records)
        head = HEADER.pack(MAGIC, VERSION, bool(model), place, 0)[:-4]
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
        raise ValueError("its numbers are cut short")
    if not ends.size:
        return [], 0
    places = np.arange(size) - np.repeat(begins, ends - begins)
    numbers = np.add.reduceat((taken[:size].astype(np.int64) & 0x7F) << 7 * places, begins)
    return numbers.tolist(), size


def refusal(problem: object, advice: str = USE_ANOTHER) -> ArchiveError:
    """What is wrong with an archive, and what to do."""
    return ArchiveError(f"the archive cannot be used: {problem}; {advice}")


def _require(fits: bool, problem: str, advice: str = USE_ANOTHER) -> None:
    if not fits:
        raise refusal(problem, advice)


def read_header(source: ArchiveSource) -> Header:
    """The header; ``ArchiveError`` unless there is one."""
    start = _exactly(source, HEADER.size)
    _require(start[:8] == MAGIC, *NO_ARCHIVE)
    _require(len(start) == HEADER.size, "it is truncated", ANOTHER_COPY)
    _, version, model, records, crc = HEADER.unpack(start)
    _require(
        version == VERSION,
        f"this pantoum reads version {VERSION}, not {version}",
        "use the version of pantoum that wrote it",
    )
    digest = _exactly(source, DIGEST if model else 0)
    _require(crc32(digest, crc32(start[:-4])) == crc, "its header is damaged", ANOTHER_COPY)
    fits = model <= 1 and records < len(RECORDS) and len(digest) == model * DIGEST
    _require(fits, "its header is impossible", ANOTHER_COPY)
    return Header(digest.hex(), RECORDS[records])


def read(
    source: ArchiveSource, header: Header, *, keep_going: bool = False
) -> Iterator[Frame | tuple[int, int]]:
    """The frames that follow the header, to the end of the archive. Damage is an ``ArchiveError``, or with
    ``keep_going`` the begin and end of what is no frame, after which the next whole frame comes."""
    window, index, whole = Window(source, len(header.to_bytes())), Index(), True
    while True:
        frame = window.frame()
        if frame is not None:
            index.add(frame)
            yield frame
            continue
        begin, end = window.at, index.to_bytes()
        if window.upcoming(len(end)) == end:
            return
        if not keep_going:
            raise refusal("it is truncated" if window.is_over else f"it is damaged after byte {begin:,}")
        if not whole and _is_index(window.upcoming(MOST_PAYLOAD)):
            return
        whole, more = False, window.find()
        yield begin, window.at
        if not more:
            return


def read_index(file: BinaryIO) -> tuple[Header, Index]:
    """The header and the index of a file, without what is between them."""
    file.seek(0)
    header = read_header(file)
    size = file.seek(0, 2)
    begin = len(header.to_bytes())
    _require(size >= begin + 13, "it is truncated")
    file.seek(size - 8)
    length, crc = struct.unpack("<II", _exactly(file, 8))
    _require(5 <= length <= size - begin - 8, "its index is truncated or damaged")
    file.seek(size - 8 - length)
    body = _exactly(file, length + 4)
    _require(crc32(body) == crc and body[0] == INDEX, "its index is truncated or damaged")
    ends = np.count_nonzero(np.frombuffer(body, np.uint8)[1:-8] < 0x80)  # as many as numbers, three per frame
    fits = begin + ends // 3 * HEAD.size + length + 8 <= size
    _require(fits, "its index does not fit its size")
    try:
        numbers, _ = from_numbers(body[1:-8])
    except ValueError as problem:
        raise refusal(str(problem)) from None
    found = Index(numbers[0::3], numbers[1::3], numbers[2::3], int.from_bytes(body[-8:-4], "little"))
    frames = len(found.plain)
    fits = len(numbers) == 3 * frames and max(found.plain, default=0) <= MOST_PLAIN
    fits = fits and begin + frames * HEAD.size + sum(found.payload) + length + 8 == size
    _require(fits, "its index does not fit its size")
    return header, found


def frame_at(file: BinaryIO, offset: int) -> Frame:
    """The frame that begins there."""
    file.seek(offset)
    frame = Window(file, offset).frame()
    if frame is None:
        raise refusal(f"it is damaged after byte {offset:,}")
    return frame


class Window:
    """The next bytes of an archive, as many as a frame can have."""

    def __init__(self, source: ArchiveSource, at: int) -> None:
        self._source, self._held = source, bytearray()
        self.at = at
        """Where in the archive the window begins."""

    @property
    def is_over(self) -> bool:
        """Whether fewer bytes are left than the frame that begins here would have."""
        head = self._head()
        return len(self._held) < HEAD.size or (head is not None and len(self._held) < HEAD.size + head[2])

    def frame(self) -> Frame | None:
        """The frame that begins here, which is then behind; ``None`` where there is none."""
        found = self._frame()
        if found is not None:
            self._skip(HEAD.size + len(found.payload))
        return found

    def upcoming(self, size: int) -> bytes:
        """What is left, but of more than this size only one byte more."""
        self._hold(size + 1)
        return bytes(self._held[: size + 1])

    def find(self) -> bool:
        """Go on to the next whole frame; false, at the end, where there is none."""
        self._skip(1)
        while self._hold(1):
            place = self._held.find(FRAME)
            self._skip(len(self._held) if place < 0 else place)
            if place >= 0 and self._frame() is not None:
                return True
            self._skip(min(1, len(self._held)))
        return False

    def _head(self) -> tuple[Kind, int, int, int, int] | None:
        """(kind, plain bytes, bytes of the payload, CRC of each) of the head here; ``None`` where none is."""
        self._hold(HEAD.size)
        data = bytes(self._held[: HEAD.size])
        if len(data) < HEAD.size or data[0] != FRAME or data[1] > max(Kind):
            return None
        _, kind, *sizes, crc, payload_crc, check = HEAD.unpack(data)
        plain, payload = (int.from_bytes(size, "little") for size in sizes)
        fits = check == crc32(data[:-2]) & 0xFFFF and payload <= MOST_PAYLOAD and plain <= MOST_PLAIN
        return (Kind(kind), plain, payload, crc, payload_crc) if fits else None

    def _frame(self) -> Frame | None:
        head = self._head()
        if head is None or not self._hold(HEAD.size + head[2]):
            return None
        kind, plain, size, crc, payload_crc = head
        data = bytes(self._held[HEAD.size : HEAD.size + size])
        if crc32(data) != payload_crc:
            return None
        try:
            records = from_numbers(data, 1)[0][0] if kind == Kind.RECORDS else 0
        except ValueError:
            return None
        return Frame(kind, plain, crc, data, records)

    def _hold(self, size: int) -> bool:
        """Read until so many bytes are here; false where the source ends before."""
        while len(self._held) < size:
            data = self._source.read(min(1 << 20, size - len(self._held) + (1 << 16)))
            if not data:
                return False
            self._held += data
        return True

    def _skip(self, count: int) -> None:
        del self._held[:count]
        self.at += count


def _is_index(data: bytes) -> bool:
    """Whether these bytes are an index, of whatever frames."""
    return len(data) > 12 and data[0] == INDEX and crc32(data[:-4]) == int.from_bytes(data[-4:], "little")


def _exactly(source: ArchiveSource, size: int) -> bytes:
    """So many bytes, fewer only at the end of the source."""
    found = b""
    while len(found) < size:
        data = source.read(size - len(found))
        if not data:
            break
        found += data
    return found
