"""The archive of compressed bytes: a header, frames that stand alone, an index at the end.

    header   at  bytes  what
             0   8      b"PANTOUMZ"
             8   1      version, 2
             9   1      1: a model is needed; 0: none
             10  1      what a record is: 0 there are none, 1 a line, 2 what ``compress_many`` was given
             11  1      S: the contexts that learn from nothing have 2^S slots; 0: there are none
             12  4      CRC-32 of bytes 0 to 11 and of the SHA-256
             16  32     SHA-256 of the model's file, if one is needed

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
from collections.abc import Iterator
from typing import BinaryIO
from zlib import crc32

from pantoum.apps.archive.archive_parts import (
    DIGEST,
    FRAME,
    HEAD,
    HEADER,
    INDEX,
    MAGIC,
    MOST_PAYLOAD,
    MOST_PLAIN,
    MOST_SLOTS,
    RECORDS,
    VERSION,
    ArchiveSource,
    Frame,
    Header,
    Index,
    Kind,
    from_numbers,
    refusal,
    require_whole,
)

__all__ = ["frame_at", "is_archive", "read", "read_header", "read_index"]


def is_archive(start: bytes) -> bool:
    """Whether a file begins like an archive."""
    return start.startswith(MAGIC)


def read_header(source: ArchiveSource) -> Header:
    """The header; ``ArchiveError`` unless there is one."""
    start = _exactly(source, HEADER.size)
    require_whole(
        start[:8] == MAGIC, "it is no archive of pantoum", "decompress what `pantoum compress` wrote"
    )
    require_whole(len(start) == HEADER.size, "it is cut")
    _, version, model, records, slots, crc = HEADER.unpack(start)
    require_whole(
        version == VERSION,
        f"its version is {version}, this pantoum reads {VERSION}",
        "use the version of pantoum that wrote it",
    )
    digest = _exactly(source, DIGEST if model else 0)
    require_whole(crc32(digest, crc32(start[:12])) == crc, "its header is damaged")
    fits = model <= 1 and records < len(RECORDS) and slots <= MOST_SLOTS and len(digest) == model * DIGEST
    require_whole(fits, "its header is impossible")
    return Header(digest.hex(), RECORDS[records], slots)


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
            raise refusal("it is cut" if window.is_over else f"it is damaged after byte {begin:,}")
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
    require_whole(size >= begin + 13, "it is cut")
    file.seek(size - 8)
    length, crc = struct.unpack("<II", _exactly(file, 8))
    require_whole(5 <= length <= size - begin - 8, "its index is cut or damaged")
    file.seek(size - 8 - length)
    body = _exactly(file, length + 4)
    require_whole(crc32(body) == crc and body[0] == INDEX, "its index is cut or damaged")
    try:
        numbers, _ = from_numbers(body[1:-8])
    except ValueError as problem:
        raise refusal(str(problem)) from None
    found = Index(numbers[0::3], numbers[1::3], numbers[2::3], int.from_bytes(body[-8:-4], "little"))
    frames = len(found.plain)
    fits = len(numbers) == 3 * frames and max(found.plain, default=0) <= MOST_PLAIN
    fits = fits and begin + frames * HEAD.size + sum(found.payload) + length + 8 == size
    require_whole(fits, "its index does not fit its size")
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
        head = self._head(0)
        return len(self._held) < HEAD.size or (
            head is not None and len(self._held) < HEAD.size + int.from_bytes(head[3], "little")
        )

    def frame(self) -> Frame | None:
        """The frame that begins here, which is then behind; ``None`` where there is none."""
        found = self._frame(0)
        if found is not None:
            self._skip(HEAD.size + len(found.payload))
        return found

    def upcoming(self, size: int) -> bytes:
        """What is left, but of more than this size only one byte more."""
        self._hold(size + 1)
        return bytes(self._held[: size + 1])

    def find(self) -> bool:
        """Go on to the next whole frame; false, at the end, where there is none."""
        place = 1
        while True:
            place = self._held.find(FRAME, place)
            if place < 0:
                self._skip(len(self._held))
                if not self._hold(1):
                    return False
                place = 0
                continue
            if place > MOST_PAYLOAD:
                self._skip(place)
                place = 0
            if self._frame(place) is not None:
                self._skip(place)
                return True
            place += 1

    def _head(self, place: int) -> tuple[int, int, bytes, bytes, int, int, int] | None:
        """The numbers of a frame's head; ``None`` where no head is."""
        self._hold(place + HEAD.size)
        data = bytes(self._held[place : place + HEAD.size])
        if len(data) < HEAD.size or data[0] != FRAME or data[1] > max(Kind):
            return None
        return HEAD.unpack(data) if HEAD.unpack(data)[6] == crc32(data[:-2]) & 0xFFFF else None

    def _frame(self, place: int) -> Frame | None:
        head = self._head(place)
        if head is None:
            return None
        _, kind, plain, payload, crc, payload_crc, _ = head
        size, begin = int.from_bytes(payload, "little"), place + HEAD.size
        if (
            size > MOST_PAYLOAD
            or int.from_bytes(plain, "little") > MOST_PLAIN
            or not self._hold(begin + size)
        ):
            return None
        data = bytes(self._held[begin : begin + size])
        if crc32(data) != payload_crc:
            return None
        try:
            records = from_numbers(data, 1)[0][0] if kind == Kind.RECORDS else 0
        except ValueError:
            return None
        return Frame(Kind(kind), int.from_bytes(plain, "little"), crc, data, records)

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
