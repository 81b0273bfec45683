"""The text inside a compressed file or one in UTF-16, as UTF-8 bytes.

Everything is a stream of blocks, so memory does not grow with the text. A compressed file may expand to at
most ``MOST_TIMES`` its size (and to 64 MiB in any case): what expands further is no text, but made to fill a
disk. What a decompressor may take is bounded, too.
"""

from __future__ import annotations

import bz2
import codecs
import importlib
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from pantoum.data.forms import HEAD, Form, form_of
from pantoum.errors import TextError

BLOCK, PIECE = 1 << 20, 1 << 14
MOST_TIMES, ALWAYS = 1000, 64 << 20
MEMORY_TIMES, MEMORY, MOST_MEMORY = 10, 68 << 20, 256 << 20
"""What a decompressor may take: 10 times the file's size, and in any case what the highest preset of xz needs
(65 MiB); at most 256 MiB."""
MOST_WINDOW = 27
"""The logarithm of the largest window of zstd that its own command reads unasked."""
ZSTD_ADVICE = "pip install 'pantoum[zstd]' reads it, or unpack it: zstd -d FILE"


class _Gzip:
    """``zlib`` with the interface of the others."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = not self._zlib.unconsumed_tail and len(found) < max_length
        return found


if TYPE_CHECKING:
    Decompressor: TypeAlias = bz2.BZ2Decompressor | lzma.LZMADecompressor | _Gzip


class Bound:
    """Refuses what expands too far: to more than ``times`` its size, and more than ``always``."""

    def __init__(self, label: str, size: int, times: int | None = None, always: int | None = None) -> None:
        self._label, self._times = label, times or MOST_TIMES
        self._left = max(self._times * size, always or ALWAYS)

    def add(self, count: int) -> None:
        """Count bytes of expanded text."""
        self._left -= count
        if self._left < 0:
            raise TextError(
                f"cannot read {self._label!r}: it expands to more than {self._times:,} times its size, "
                "which no text does; give a text file"
            )

    def counted(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks, each counted before it is passed on."""
        for block in blocks:
            self.add(len(block))
            yield block


def decompressed(form: Form, label: str, size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The text in a compressed file of ``size`` bytes; what is inside must be a text itself."""
    bound, head = Bound(label, size), b""
    try:
        stream = _streams(blocks, _maker(form, label, size))
        while len(head) < HEAD and (block := next(stream, b"")):
            bound.add(len(block))
            head += block
        inside, rest = form_of(head), bound.counted(stream)
        if inside.kind == "encoded":
            yield from transcoded(inside, label, chain([head], rest))
            return
        if inside.kind not in ("text", "binary"):
            raise TextError(f"cannot read {label!r}: it contains {inside.name}; unpack it first")
        yield head
        yield from rest
    except _damages() as error:
        if "memory" in str(error).lower():  # liblzma and libzstd say it in words of their own
            raise TextError(
                f"cannot read {label!r}: {form.name} that needs more memory than a file of its size may "
                "take; unpack it first"
            ) from error
        raise TextError(
            f"cannot read {label!r}: {form.name} that is damaged or cut short ({error}); get it again"
        ) from error


def _streams(blocks: Iterable[bytes], new: Callable[[], Decompressor]) -> Iterator[bytes]:
    """The content of one or several compressed streams, one after the other."""
    machine: Decompressor | None = None
    for left in _cut(blocks):
        while left:
            machine = machine or new()
            found = machine.decompress(left, BLOCK)
            while found or not (machine.eof or machine.needs_input):
                yield found
                if machine.eof or machine.needs_input:
                    break
                found = machine.decompress(b"", BLOCK)
            left = machine.unused_data.lstrip(b"\x00") if machine.eof else b""
            machine = None if machine.eof else machine
    if machine is not None:
        raise EOFError("its end is missing")


def _cut(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Small pieces: a decompressor copies what follows its stream, which may have no more than 14 bytes."""
    for block in blocks:
        for start in range(0, len(block), PIECE):
            yield block[start : start + PIECE]


def _maker(form: Form, label: str, size: int) -> Callable[[], Decompressor]:
    if form.codec == "gzip":
        return _Gzip
    if form.codec == "bzip2":
        return bz2.BZ2Decompressor
    memory = min(max(MEMORY, MEMORY_TIMES * size), MOST_MEMORY)
    if form.codec == "xz":
        return lambda: lzma.LZMADecompressor(memlimit=memory)
    zstd = _zstd()
    if zstd is None:
        raise TextError(
            f"cannot read {label!r}: it is {form.name}, which is not supported here; {ZSTD_ADVICE}"
        )
    window = {zstd.DecompressionParameter.window_log_max: min(memory.bit_length() - 1, MOST_WINDOW)}

    def made() -> Decompressor:
        machine: Decompressor = zstd.ZstdDecompressor(options=window)
        return machine

    return made


def _zstd() -> Any:
    """The module that reads zstd: of the standard library from Python 3.14 on, else its backport."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return importlib.import_module(name)
    return None


def _damages() -> tuple[type[Exception], ...]:
    """The errors by which decompressors say that a file is damaged."""
    zstd = _zstd()
    own = () if zstd is None else (zstd.ZstdError,)
    return (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, *own)


def transcoded(form: Form, label: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """A text in UTF-16 or UTF-32 as UTF-8; its byte order mark is dropped."""
    decoder = codecs.getincrementaldecoder(form.codec)()
    first = True
    try:
        for block in chain(blocks, [None]):
            text = decoder.decode(block or b"", final=block is None)
            if first and text:
                text, first = text.removeprefix("\ufeff"), False
            yield text.encode()
    except UnicodeDecodeError as error:
        raise TextError(
            f"cannot read {label!r}: {form.name} that is damaged or cut short ({error.reason}); get it again"
        ) from error
