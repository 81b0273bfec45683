"""Which parts of a document hold its text, and in which order; ``markup`` reads XML and HTML,
pypdf and striprtf (the extra ``documents``) read PDF and RTF. Text alone is taken: no styles, notes of
reviewers, scripts or pictures.

It runs in a process of its own, which bounds time and memory (``seams.read_apart``). So no code here
counts; what a library makes of a damaged file is an error of that process.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import IO

from pantoum.apps.documents.markup import book_pages, package_of, page_lines, paragraph_lines
from pantoum.seams import FORM_HEAD as HEAD
from pantoum.seams import BadFileError, form_of, page_text, transcoded

__all__ = ["reader"]

BLOCK = 1 << 18
CONTAINER = "META-INF/container.xml"
MAIN_PART = {"docx": "word/document.xml", "odt": "content.xml"}
NO_TEXT = "it has no text (its pages may be images that need OCR first)"


def reader(codec: str, label: str, encoding: str) -> Callable[[IO[bytes]], Iterator[bytes]]:
    """What reads documents of a kind."""
    logging.disable()
    if codec == "pdf":
        import pypdf

        for module in pkgutil.walk_packages(pypdf.__path__, "pypdf."):  # it imports some when it needs them
            with suppress(Exception):
                importlib.import_module(module.name)
        return partial(_with_text, _pdf)
    if codec == "rtf":
        import striprtf.striprtf  # noqa: F401

        return partial(_with_text, _rtf)
    import charset_normalizer  # noqa: F401

    if codec == "html":
        return lambda file: page_lines(page_text(file.read(), label, encoding or None))
    return partial(_packed, codec, label, encoding or None)


def _with_text(read: Callable[[IO[bytes]], Iterator[str]], file: IO[bytes]) -> Iterator[bytes]:
    """Texts as lines; none at all is an error."""
    empty = True
    for text in read(file):
        empty = empty and not text.strip()
        yield (text if text.endswith("\n") or not text else text + "\n").encode("utf-8", "replace")
    if empty:
        raise BadFileError(NO_TEXT)


def _pdf(file: IO[bytes]) -> Iterator[str]:
    """The texts of the pages."""
    from pypdf import PdfReader

    for page in PdfReader(file).pages:
        yield page.extract_text()


def _rtf(file: IO[bytes]) -> Iterator[str]:
    """The paragraphs."""
    from striprtf.striprtf import rtf_to_text

    yield rtf_to_text(file.read().decode("latin-1"), encoding="cp1252", errors="replace")


def _packed(codec: str, label: str, encoding: str | None, file: IO[bytes]) -> Iterator[bytes]:
    """The text of a container."""
    with zipfile.ZipFile(file) as archive:
        if codec == "zip" and MAIN_PART["docx"] in archive.namelist():
            codec = "docx"
        if codec == "zip":
            yield from _texts(archive, label)
        elif codec == "epub":
            yield from _book(archive, label, encoding)
        else:
            only = "w:t" if codec == "docx" else ""
            yield from paragraph_lines(_blocks(archive, MAIN_PART[codec]), only)


def _blocks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """A part, piece by piece."""
    with archive.open(name) as file:
        while block := file.read(BLOCK):
            yield block


def _book(archive: zipfile.ZipFile, label: str, encoding: str | None) -> Iterator[bytes]:
    """The pages of an EPUB book; what its list names and it does not hold is an error."""
    package = package_of(_blocks(archive, CONTAINER))
    for name in book_pages(_blocks(archive, package), package):
        yield from page_lines(page_text(archive.read(name), f"{label}/{name}", encoding))


def _texts(archive: zipfile.ZipFile, label: str) -> Iterator[bytes]:
    """The texts in a zip archive; everything else in it is left out."""
    empty = True
    for name in sorted(archive.namelist()):
        if name.endswith("/") or any(part.startswith(".") for part in name.split("/")):
            continue
        blocks = _blocks(archive, name)
        head = next(blocks, b"")
        form = form_of(head[:HEAD])
        if form.kind not in ("text", "encoded") or not head:
            continue
        empty, content = False, chain([head], blocks)
        yield from content if form.kind == "text" else transcoded(form, f"{label}/{name}", content)
    if empty:
        raise BadFileError("it has no text; unpack it to see what is in it")
