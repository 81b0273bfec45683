"""A text as it comes: a file part by part, or stdin with whatever is there by now.

Nothing waits for a part to be full, so a program that writes a line at a time into a pipe is answered a line
at a time. Compressed texts and documents are read as for training (``expand``, ``documents``); the first part
says what it is. stdin is taken as it is, unless it is compressed or in UTF-16. A byte order mark is left out,
with a note, as in training.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from pantoum.config.launcher import require_own_stdin
from pantoum.data.addresses import is_address
from pantoum.data.documents import form_in
from pantoum.data.forms import HEAD, form_of
from pantoum.data.sources import STDIN, Source, Sources, found, unreadable
from pantoum.data.text_reader import BOM, MARK_LEFT_OUT, content, in_encoding, raw_blocks
from pantoum.errors import TextError

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
    try:
        return _without_mark(content(_not_refused(source), _read(file)), name)
    except TextError:
        file.close()
        raise


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
    source = _not_refused(Source(path.name, path, sys.maxsize, 0, form, encoding=encoding))
    yield from _without_mark(content(source, chain([first], blocks)), source.label)


def _not_refused(source: Source) -> Source:
    if source.form.kind == "refused":
        raise TextError(
            f"cannot read {source.label!r}: it is {source.form.name}, not a text; "
            f"{source.form.advice_for(source.label)}"
        )
    return source


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
