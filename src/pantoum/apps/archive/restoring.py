"""The text of an archive: frames become bytes, each compared with its checksum.

A pipe is read from its beginning to its end, a part of a file by its index. Memory is bounded as in
``archiving``, whatever an archive says of itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import BinaryIO, cast
from zlib import crc32

from pantoum.apps.archive import archive, payloads
from pantoum.apps.archive.archive import ArchiveSource, Frame, Header, Kind, refusal
from pantoum.apps.archive.learning import Learner, MixingReader
from pantoum.apps.archive.settings import DecompressConfig
from pantoum.errors import ArchiveError
from pantoum.seams import MOST_SYMBOLS, LoadedModel, require
from pantoum.seams import check_whole as whole

__all__ = ["records", "restore"]

SIDE_BY_SIDE = 4
"""Frames that are read side by side."""


def restore(
    source: ArchiveSource,
    model: LoadedModel | None,
    settings: DecompressConfig,
    lost: list[str] | None = None,
) -> Iterator[bytes]:
    """The bytes of an archive, or the part of them that is asked for. ``lost`` hears in words what is
    damaged, with ``keep_going``."""
    if settings.is_part:
        file = cast(BinaryIO, source)
        if settings.record is not None:
            yield records(file, model, [settings.record])[0]
        else:
            most = archive.MOST_BYTES if settings.length is None else settings.length
            yield from _part(file, model, settings.offset or 0, most)
        return
    header = archive.read_header(source)
    decompressor = _Decompressor(header, model, settings, [] if lost is None else lost)
    yield from decompressor.pieces(archive.read(source, header, keep_going=settings.keep_going))


class _Decompressor:
    """Frames to bytes. With ``keep_going`` damage is left out and told in ``lost``; else it is an error."""

    def __init__(
        self, header: Header, model: LoadedModel | None, settings: DecompressConfig, lost: list[str]
    ) -> None:
        _require_model(header, model)
        self._header, self._model = header, model
        self._keep_going, self._most = settings.keep_going, settings.max_output
        self._learner: Learner | MixingReader | None = None
        self._seen = 0
        self.lost = lost
        """What could not be decoded, in words."""

    def pieces(self, given: Iterable[Frame | tuple[int, int]]) -> Iterator[bytes]:
        """The bytes of frames that follow each other."""
        group = list[Frame]()
        for frame in given:
            if isinstance(frame, tuple):
                yield from self._texts(group)
                begin, end = frame
                self.lost.append(f"bytes {begin:,} to {end:,} of the archive are damaged or missing")
                self._learner = None
                continue
            if (
                self._most is not None
                and self._seen + sum(one.plain for one in group) + frame.plain > self._most
            ):
                raise refusal(
                    f"it expands to more than --max-output ({self._most:,} bytes)",
                    "give a larger --max-output if you trust it",
                )
            if frame.kind == Kind.MODEL:
                group.append(frame)
            if len(group) == SIDE_BY_SIDE or frame.kind != Kind.MODEL:
                yield from self._texts(group)
            if frame.kind != Kind.MODEL:
                yield from self._one(frame)
        yield from self._texts(group)

    def _texts(self, group: list[Frame]) -> Iterator[bytes]:
        """The bytes of frames of the model, which are then behind."""
        if not group:
            return
        if self._model is None:
            raise refusal("it has a frame that needs a model, and names no model")
        taken = list(group)
        group.clear()
        for frame, found in zip(taken, payloads.decode_texts(self._model, taken), strict=True):
            yield from self._checked(frame, found)

    def _one(self, frame: Frame) -> Iterator[bytes]:
        try:
            found: bytes | ArchiveError = self._decoded(frame)
        except ArchiveError as problem:
            found = problem
        yield from self._checked(frame, found)

    def _decoded(self, frame: Frame) -> bytes:
        kind, model = frame.kind, self._model
        if kind == Kind.STORED:
            return frame.payload
        if kind == Kind.RECORDS and model is not None and self._header.records is not None:
            columns = payloads.columns_of(frame)
            found = payloads.decode_records(model, frame, columns, range(len(columns)))
            return payloads.plain_of(found, columns.ended if self._header.records == "lines" else None)
        if not kind.learns or self._header.records is not None:
            raise refusal("it has a frame of a kind that its header excludes")
        if kind == Kind.BEGUN:
            self._learner = Learner()
        elif kind == Kind.ADAPTED_BEGUN:
            if model is None or model.vocab_size > MOST_SYMBOLS:
                raise refusal("it has a frame of a kind that its model does not allow")
            self._learner = MixingReader(model)
        if self._learner is None or kind not in self._learner.kinds:
            raise refusal("a frame depends on one that is lost")
        return self._learner.decode(frame)

    def _checked(self, frame: Frame, found: bytes | ArchiveError) -> Iterator[bytes]:
        begin, self._seen = self._seen, self._seen + frame.plain
        if isinstance(found, bytes):
            if len(found) == frame.plain and crc32(found) == frame.crc:
                yield found
                return
            found = refusal("a frame does not decode to what was encoded")
        if frame.kind.learns:
            self._learner = None
        if not self._keep_going:
            raise found
        problem = str(found).removesuffix(f"; {archive.USE_ANOTHER}")
        self.lost.append(f"bytes {begin:,} to {self._seen:,} of the text: {problem}")


def _part(file: BinaryIO, model: LoadedModel | None, offset: int, length: int) -> Iterator[bytes]:
    """``length`` bytes of the text from ``offset`` on, fewer at its end; only the frames that they need are
    read."""
    header, index = archive.read_index(file)
    decompressor = _Decompressor(header, model, DecompressConfig(), [])
    end, (*begins, size) = offset + length, accumulate(index.plain, initial=0)
    rule = f"must be at most {size:,}, the length of the text in the archive in bytes"
    require(offset <= size, "offset", offset, rule, "give a smaller one")
    needed = [n for n, begin in enumerate(begins) if begin < end and begin + index.plain[n] > offset]
    if not needed:
        return
    offsets, first = index.offsets(header), needed[0]
    chained = next((n for n in needed if archive.frame_at(file, offsets[n]).kind.learns), None)
    while chained and not archive.frame_at(file, offsets[chained]).kind.begins:
        chained -= 1
    first = first if chained is None else min(first, chained)
    place = begins[first]
    for piece in decompressor.pieces(
        archive.frame_at(file, offsets[n]) for n in range(first, needed[-1] + 1)
    ):
        yield piece[max(0, offset - place) : max(0, end - place)]
        place += len(piece)


def records(file: BinaryIO, model: LoadedModel | None, numbers: Iterable[int] | None = None) -> list[bytes]:
    """Records by number, or all of them; no others are decoded."""
    header, index = archive.read_index(file)
    _require_model(header, model)
    if header.records is None or model is None:
        raise refusal(
            "it has no records, it is one text",
            "read a part with --offset, or compress it with --documents",
        )
    total, chosen = sum(index.records), list[int]()
    for number in range(total) if numbers is None else numbers:
        rule = (
            f"must be from 0 to {total - 1:,}, the last record"
            if total
            else "does not exist: the archive is empty"
        )
        chosen.append(whole(number, "record", least=0))
        require(chosen[-1] < total, "record", number, rule, "give another one")
    found, first, offsets = dict[int, bytes](), 0, index.offsets(header)
    wanted = sorted(set(chosen))
    for place, count in zip(offsets, index.records, strict=True):
        own = [n - first for n in wanted[bisect_left(wanted, first) : bisect_left(wanted, first + count)]]
        if own:
            frame = archive.frame_at(file, place)
            columns = payloads.columns_of(frame)
            if len(columns) != count:
                raise refusal("its index does not match its frames")
            decoded = payloads.decode_records(model, frame, columns, own)
            found.update(zip((first + number for number in own), decoded, strict=True))
        first += count
    return [found[number] for number in chosen]


def _require_model(header: Header, model: LoadedModel | None) -> None:
    """The model must be the one that the archive names."""
    if not header.model:
        return
    if model is None:
        why = f"it needs the model with SHA-256 {header.model}"
        raise refusal(why, "give the model that made it")
    if model.sha256 != header.model:
        raise refusal(
            f"it needs the model with SHA-256 {header.model}, this one has {model.sha256 or 'none'}",
            "give that one; `pantoum info` shows the SHA-256",
        )
