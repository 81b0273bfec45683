"""Reads texts as one stream of blocks: decoded, hashed, counted, with borders marked. A text is never held in
memory as a whole.

A byte order mark at the beginning of a file is dropped, with a note. CR LF stays as it is. The text of
compressed files and documents is taken out on the way; the hash and the size are those of the file on disk.
What cannot be decoded is an error that names the file and the byte. A file that does not give the bytes it
had when it was found has changed meanwhile, which is an error, too.

``parts`` gives a file, or what stdin has by now, part by part: nothing waits for a part to be full, so a
program that writes a line at a time into a pipe is answered a line at a time. stdin is taken as it is, unless
it is compressed or in UTF-16: its first part says what it is.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pantoum.config.launcher import require_own_stdin
from pantoum.config.plain import Plain
from pantoum.config.rules import codec_of
from pantoum.data.expand import decompressed, transcoded
from pantoum.data.forms import HEAD, DocumentFile, form_in, form_of, is_address, reader_of
from pantoum.data.sources import STDIN, Source, Sources, found, open_source, unreadable
from pantoum.errors import TextError
from pantoum.text.documents import BORDER_SIGN, eos_text, mark_blocks, sign_of
from pantoum.text.encodings import not_utf8, read_in
from pantoum.text.numbers import UnknownCount

BLOCK = 1 << 20
BOM = codecs.BOM_UTF8
ESCAPES = (
    "hz",
    "iso2022_jp",
    "iso2022_jp_1",
    "iso2022_jp_2",
    "iso2022_jp_2004",
    "iso2022_jp_3",
    "iso2022_kr",
)
"""Encodings of 7 bits: each text in them is UTF-8, too, and is noise as that."""
MARK_LEFT_OUT = "begins with a byte-order mark; it is left out"

Progress = Callable[[int, int], None]
"""Called with the bytes read and the bytes there are."""


class TextReader:
    """One pass over some texts.

    ``encoding`` comes from the tokenizer: ``utf-8``, or ``latin-1`` where bytes are tokens. After ``blocks``
    has been read to its end, ``files`` says what was read and ``notes`` what was dropped.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        encoding: str,
        documents: str | None,
        progress: Progress | None = None,
    ) -> None:
        self._sources, self._encoding = sources, encoding
        self._documents, self._progress = documents, progress
        self._done, self._size = 0, sum(source.size for source in sources)
        self.files: list[dict[str, Plain]] = []
        """What each file was: name, size, mtime_ns, sha256."""
        self.notes: list[str] = []

    def blocks(self) -> Iterator[str]:
        """The text, borders of documents marked; empty texts are errors."""
        characters = 0
        for block in mark_blocks(self._files(), self._documents):
            characters += len(block.strip(BORDER_SIGN)) if self._documents == "files" else len(block)
            yield block
        if not characters:
            names = ", ".join(repr(source.label) for source in self._sources[:3])
            raise TextError(f"the text is empty: there is nothing in {names}; give a text to read")

    def _files(self) -> Iterator[str]:
        for source in self._sources:
            yield from self._file(source)
            if self._documents == "files":
                yield BORDER_SIGN

    def _file(self, source: Source) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self._encoding)()
        digest = hashlib.sha256()
        size = offset = 0

        def raw() -> Iterator[bytes]:
            nonlocal size
            for block in raw_blocks(source):
                digest.update(block)
                size += len(block)
                self._done += len(block)
                if self._progress is not None:
                    self._progress(self._done, max(self._size, self._done))
                yield block

        if source.form.kind != "text":
            self.notes.append(f"{source.label} is {source.form.name}: reading its text")
        if source.encoding is not None:
            self.notes.append(f"{source.label} is not UTF-8: reading it as {source.encoding}")
        for block in content(source, raw()):
            start = offset
            offset += len(block)
            if start == 0 and block.startswith(BOM):
                self.notes.append(f"{source.label} {MARK_LEFT_OUT}")
                block, start = block[len(BOM) :], len(BOM)
            held = len(decoder.getstate()[0])
            try:
                text = decoder.decode(block)
            except UnicodeDecodeError as error:
                raise _odd(source, start - held + error.start, error.object[error.start]) from None
            if text:
                yield text
        held_bytes = decoder.getstate()[0]
        if held_bytes:
            raise _odd(source, offset - len(held_bytes), held_bytes[0])
        if size != source.size:
            raise TextError(
                f"{source.label!r} had {source.size:,} bytes, but {size:,} were read: it changed "
                "while it was read; try again when no program writes to it"
            )
        self.files.append(
            {
                "name": source.name,
                "size": source.size,
                "mtime_ns": source.mtime_ns,
                "sha256": digest.hexdigest(),
            }
        )


class OddFileError(TextError):
    """A file in a folder is not UTF-8: the others may be read without it."""

    def __init__(self, source: Source, message: str) -> None:
        super().__init__(message)
        self.source = source


def _odd(source: Source, offset: int, byte: int) -> TextError:
    """The error for bytes that are not UTF-8, in a file that was named or in one of a folder."""
    error = not_utf8(source.label, offset, byte, content(source, raw_blocks(source)))
    return OddFileError(source, str(error)) if source.in_folder else error


def content(source: Source, raw: Iterable[bytes]) -> Iterator[bytes]:
    """The text of a source in UTF-8 (or in bytes that are no UTF-8, as they are), from its bytes on disk."""
    form, blocks = source.form, iter(raw)
    if form.kind == "document":
        return _of_document(source, raw)
    if form.kind == "encoded":
        return transcoded(form, source.label, raw)
    if form.kind == "compressed":
        blocks = decompressed(form, source.label, source.size, raw)
    return blocks if source.encoding is None else read_in(source.encoding, source.label, blocks)


def _of_document(source: Source, raw: Iterable[bytes]) -> Iterator[bytes]:
    for _ in raw:  # hashed and counted; the document is then read from its end, where its directory is
        pass
    with DocumentFile(source.path, source.label, source.encoding) as file:
        yield from reader_of(source.path, source.label)(file)


def is_utf8(source: Source) -> bool:
    """Whether all of its text is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in content(source, raw_blocks(source)):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def beginning(sources: Sources, size: int) -> str:
    """The first ``size`` bytes or so of the texts, which are UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    found, length = [], 0
    for block in chain.from_iterable(content(source, raw_blocks(source)) for source in sources.texts):
        found.append(decoder.decode(block[: size - length]))
        length += len(block)
        if length >= size:
            break
    return "".join(found)


def in_encoding(sources: Sources, encoding: str | None) -> Sources:
    """The same sources; those that are not UTF-8 are read in the encoding that was named."""
    if encoding is None:
        return sources

    def named(source: Source) -> Source:
        # Only a page that does not say its encoding asks for this one; a text in escapes looks like UTF-8.
        kind, escapes = source.form.kind, codec_of(encoding) in ESCAPES
        is_other = kind == "document" or (kind != "encoded" and (escapes or not is_utf8(source)))
        return replace(source, encoding=encoding) if is_other else source

    texts = [named(source) for source in sources.texts]
    return replace(sources, texts=texts, valid=None if sources.valid is None else named(sources.valid))


class Measure:
    """Counts characters and bytes of text in blocks as they were before borders were marked.

    A border counts as what ``<eos>`` decodes to. With ``latin-1`` each character is a byte, and characters
    are the bytes that do not continue one (UTF-8's own count).
    """

    def __init__(self, encoding: str, documents: str | None) -> None:
        self._latin, self._sign = encoding == "latin-1", sign_of(documents)
        self._bordered = self._sign == BORDER_SIGN and documents is not None
        self._border = len(eos_text(documents))
        self.characters = self.bytes = 0
        self.unknown = UnknownCount()
        """For the encoding that follows: what the vocabulary lacks."""

    def add(self, block: str) -> None:
        """Count a block."""
        if self._bordered and self._sign in block:
            borders = block.count(self._sign)
            self.characters += borders * self._border
            self.bytes += borders * self._border
            block = block.replace(self._sign, "")
        if block.isascii():
            self.characters += len(block)
            self.bytes += len(block)
        elif self._latin:
            raw = np.frombuffer(block.encode("latin-1"), np.int8)
            self.characters += int(np.count_nonzero(raw >= -64))
            self.bytes += len(raw)
        else:
            self.characters += len(block)
            self.bytes += len(block.encode("utf-8"))

    def through(self, blocks: Iterable[str]) -> Iterator[str]:
        """The blocks themselves, counted on the way."""
        for block in blocks:
            self.add(block)
            yield block


def file_hash(source: Source) -> str:
    """SHA-256 of a source's bytes, in hex."""
    digest = hashlib.sha256()
    for raw in raw_blocks(source):
        digest.update(raw)
    return digest.hexdigest()


def raw_blocks(source: Source) -> Iterator[bytes]:
    """A source's bytes as they lie on disk, a MiB at a time."""
    with open_source(source) as file:
        try:
            if hasattr(os, "posix_fadvise") and isinstance(file, FileIO):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while raw := file.read(BLOCK):
                yield raw
        except OSError as error:
            raise unreadable(source.label, error) from error


PART = 1 << 16


def parts(name: str | os.PathLike[str], encoding: str | None = None) -> Iterator[bytes]:
    """The text of a file, or of stdin where the name is ``-``, as it comes; it is opened here and now.
    ``encoding``: of a file that is not UTF-8, and of a stream, whose end nobody knows yet."""
    name = os.fspath(name)
    if name == STDIN:
        if sys.stdin is None:
            raise TextError("text is '-': stdin is closed; give a file, or a text on stdin")
        require_own_stdin()
        return _of_stream(sys.stdin.buffer, encoding=encoding)
    if is_address(name):
        return _of_address(name, encoding)
    path = Path(name)
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise unreadable(name, error) from None
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        require_own_stdin(name, status)
        return _of_stream(file, path, encoding)
    form = form_in(file.read(HEAD), path.name)
    file.seek(0)
    source = Source(path.name, path, status.st_size, status.st_mtime_ns, form)
    (source,) = in_encoding(Sources([source], None, []), encoding).texts
    if source.form.kind == "refused":
        file.close()
        raise source.refusal()
    return _without_mark(content(source, _read(file)), name)


def _of_address(name: str, encoding: str | None) -> Iterator[bytes]:
    """The text of a file at an address, or of the files of a folder there."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pantoum-"))
        sources = stack.enter_context(found([name], keep_in=Path(folder)))
        kept = stack.pop_all()

    def text() -> Iterator[bytes]:
        with kept:
            for source in in_encoding(sources, encoding).texts:
                yield from _without_mark(content(source, raw_blocks(source)), source.label)

    return text()


def _of_stream(file: BinaryIO, path: Path = Path(STDIN), encoding: str | None = None) -> Iterator[bytes]:
    """The text of a stream; its first part says what it is."""
    blocks = _read(file)
    first = next(blocks, b"")
    form = form_of(first[:HEAD])
    if form.kind == "document":
        form = replace(form, kind="refused", advice="give the file by its name")
    source = Source(path.name, path, sys.maxsize, 0, form, encoding=encoding)
    if form.kind == "refused":
        raise source.refusal()
    yield from _without_mark(content(source, chain([first], blocks)), source.label)


def _without_mark(blocks: Iterator[bytes], label: str) -> Iterator[bytes]:
    """The bytes of a text without its byte order mark, which may come in parts."""
    begin = b""
    for block in blocks:
        begin += block
        if len(begin) >= len(BOM) or not BOM.startswith(begin):
            break
    if begin.startswith(BOM):
        warnings.warn(f"{label} {MARK_LEFT_OUT}", UserWarning, stacklevel=2)
        begin = begin[len(BOM) :]
    if begin:
        yield begin
    yield from blocks


def _read(file: BinaryIO) -> Iterator[bytes]:
    """What is there, part by part; stdin stays open at the end."""
    read = getattr(file, "read1", file.read)
    with contextlib.nullcontext() if sys.stdin is not None and file is sys.stdin.buffer else file:
        while data := read(PART):
            yield data
