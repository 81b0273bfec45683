"""The archive of a text: blocks become frames, frames become bytes.

A block becomes a frame of the model, several of them side by side. Where the tokenizer cannot express it, it
becomes one of what learns from nothing, or stays as it is. Each frame is decoded again and compared before it
is written. Memory is bounded: some blocks of a mebibyte, a batch of the model, and what learns from nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import cast
from zlib import crc32

from pantoum.apps.archive import payloads
from pantoum.apps.archive.archive import MOST_PLAIN, ArchiveSource, Frame, Header, Index, Kind
from pantoum.apps.archive.learning import Learner, MixingReader
from pantoum.apps.archive.settings import CompressConfig
from pantoum.errors import ArchiveError, PantoumError, TextError
from pantoum.seams import LoadedModel, require

__all__ = ["compress", "compress_records", "given_bytes"]

SIDE_BY_SIDE = 4
"""Frames that are read side by side."""
RECORDS_A_FRAME = 4096
"""Whoever reads one record reads what its frame says of all of them."""
FRAMES_A_CHAIN = 64
"""Frames after which what learns from nothing begins again, so that damage ends there."""
SEARCHED = 1 << 16
"""Bytes at the end of a block in which a line's end is looked for."""
Tell = Callable[[int, int], None]
"""Hears how many bytes have been read and written so far."""


def compress(
    source: ArchiveSource,
    model: LoadedModel | None,
    settings: CompressConfig,
    tell: Tell | None = None,
) -> Iterator[bytes]:
    """The bytes of an archive."""
    made: Iterable[Frame]
    lines, adapt, verify = settings.documents is not None, settings.adapt, not settings.no_verify
    if model is None:
        require(
            not adapt,
            "adapt",
            True,
            "needs a model",
            "leave --adapt out: without a model it always learns as it reads",
        )
        require(
            not lines,
            "documents",
            "lines",
            "needs a model",
            "give a model of such lines",
        )
        made = map(_Chain(Learner, verify).frame, _blocks(source, None))
    elif lines:
        made = (frame for group in _lines(source) for frame in [_of_records(model, *group, verify)])
    elif adapt:
        made = map(_Chain(partial(MixingReader, model), verify).frame, _blocks(source, b"\n"))
    else:
        made = _modelled(model, _blocks(source, b"\n"), verify)
    yield from _written(_header(model, "lines" if lines else None), made, tell)


def compress_records(given: Iterable[bytes], model: LoadedModel, *, verify: bool = True) -> Iterator[bytes]:
    """The bytes of an archive of these records, each of which can be read alone."""
    made = (_of_records(model, group, None, verify) for group in _grouped(given))
    yield from _written(_header(model, "list"), made, None)


def _header(model: LoadedModel | None, records: str | None) -> Header:
    if model is None:
        return Header()
    require(
        bool(model.sha256),
        "model",
        "in memory",
        "was never written to a file",
        "save it, and load it from there",
    )
    return Header(model.sha256, records)


def _written(header: Header, made: Iterable[Frame], tell: Tell | None) -> Iterator[bytes]:
    index, start = Index(), header.to_bytes()
    read, written = 0, len(start)
    yield start
    for frame in made:
        index.add(frame)
        yield frame.head
        yield frame.payload
        read, written = read + frame.plain, written + len(frame.head) + len(frame.payload)
        if tell is not None:
            tell(read, written)
    yield index.to_bytes()


def _blocks(source: ArchiveSource, border: bytes | None) -> Iterator[bytes]:
    """A text in blocks of a mebibyte, which end after a border if one is near."""
    held = b""
    while True:
        data = source.read(MOST_PLAIN - len(held))
        if data:
            held += data
            if len(held) < MOST_PLAIN:
                continue
        if not held:
            return
        cut = len(held)
        if border is not None and data:
            cut = held.rfind(border, cut - SEARCHED) + 1 or cut
        yield held[:cut]
        held = held[cut:]


def _modelled(model: LoadedModel, blocks: Iterable[bytes], verify: bool) -> Iterator[Frame]:
    """The frames of blocks by a model."""
    rest, group = _Chain(Learner, verify), list[bytes]()

    def made() -> Iterator[Frame]:
        found = payloads.code_texts(model, group)
        if verify:
            ours = [frame for frame in found if frame is not None]
            expected = [block for block, frame in zip(group, found, strict=True) if frame is not None]
            _require_same(payloads.decode_texts(model, ours), expected)
        for block, frame in zip(group, found, strict=True):
            yield frame if frame is not None and len(frame.payload) < len(block) else rest.frame(block)
        group.clear()

    for block in blocks:
        group.append(block)
        if len(group) == SIDE_BY_SIDE:
            yield from made()
    yield from made()


class _Chain:
    """Makes frames by what learns as it reads, which begins anew now and then. A second one reads them, to
    verify."""

    def __init__(self, begun: Callable[[], Learner | MixingReader], verify: bool) -> None:
        self._begun, self._count = begun, 1 + verify
        self._learners: list[Learner | MixingReader] = []
        self._frames = 0
        """How many they have read."""

    def frame(self, block: bytes) -> Frame:
        """The frame of a block. One that would grow stays as it is: what learns from plain bytes goes on, and
        else the next frame begins a chain. So does one that the tokenizer cannot express, which ends none."""
        if not self._learners or self._frames == FRAMES_A_CHAIN:
            self._learners, self._frames = [self._begun() for _ in range(self._count)], 0
        learner = self._learners[0]
        first, further, plain = learner.kinds
        kind, payload = further if self._frames else first, learner.encode(block)
        if payload is None:
            return _stored(block)
        if len(payload) >= len(block):
            kind, payload = plain if self._frames else Kind.STORED, block
        if kind == Kind.STORED:
            self._learners = []
            return _stored(block)
        self._frames += 1
        frame = Frame(kind, len(block), crc32(block), payload)
        for second in self._learners[1:]:
            _require_same([second.decode(frame)], [block])
        return frame


def _stored(block: bytes) -> Frame:
    return Frame(Kind.STORED, len(block), crc32(block), block)


def _lines(source: ArchiveSource) -> Iterator[tuple[list[bytes], bool]]:
    """The lines of a text for one frame after the other, and whether the last of them is ended."""
    held = b""
    while True:
        data = source.read(MOST_PLAIN - len(held))
        held += data or b""
        if data and len(held) < MOST_PLAIN:
            continue
        if not held:
            return
        cut = held.rfind(payloads.END) + 1 if data else len(held)
        if not cut:
            raise TextError(
                f"a line has more than {MOST_PLAIN:,} bytes: with --documents each must fit in a frame; "
                "leave --documents out"
            )
        lines, held = held[:cut].split(payloads.END), held[cut:]
        ended = not lines[-1]
        if ended:
            lines.pop()
        for first in range(0, len(lines), RECORDS_A_FRAME):
            group = lines[first : first + RECORDS_A_FRAME]
            yield group, ended or first + RECORDS_A_FRAME < len(lines)


def _grouped(given: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Records for one frame after the other."""
    group, size = list[bytes](), 0
    for number, one in enumerate(given):
        record = given_bytes(one, f"record {number}")
        fits = len(record) <= MOST_PLAIN
        rule = f"must have at most {MOST_PLAIN:,} bytes"
        require(fits, f"record {number}", record, rule, "cut it")
        if group and (len(group) == RECORDS_A_FRAME or size + len(record) > MOST_PLAIN):
            yield group
            group, size = [], 0
        group.append(record)
        size += len(record)
    if group:
        yield group


def _of_records(model: LoadedModel, group: Sequence[bytes], ended: bool | None, verify: bool) -> Frame:
    frame = payloads.code_records(model, group, ended)
    if verify:
        columns = payloads.columns_of(frame)
        _require_same(payloads.decode_records(model, frame, columns, range(len(columns))), group)
    return frame


def given_bytes(value: object, argument: str) -> bytes:
    """Bytes that a caller gives."""
    fits = isinstance(value, (bytes, bytearray, memoryview))
    require(fits, argument, value, "must be bytes", "encode a text: text.encode()")
    return bytes(cast(bytes, value))


def _require_same(found: Sequence[bytes | ArchiveError], expected: Sequence[bytes]) -> None:
    if list(found) != list(expected):
        raise PantoumError(
            "the encoded data did not decode to the same bytes, so no archive was written: this is a bug, or "
            "a fault of this machine; try again, and report it if it happens again"
        )
