"""The text of EPUB books, DOCX, ODT, RTF and PDF documents and HTML pages, as UTF-8 bytes: one line per
paragraph, of PDF the lines of its pages.

Here stands which parts of a container hold the text, and in which order; ``office`` reads XML, ``page`` reads
HTML, ``apart`` PDF and RTF. Text alone is taken: no styles, notes of reviewers, scripts or pictures. A plain
zip archive is read as the texts in it, in order of their names.

What a file may cost is bounded by its size. All parts together may expand to what ``expand.Bound`` allows
(``MARKUP_TIMES`` their size where they hold markup), and have as many tags as the file has bytes, or
``MOST_TAGS``. XML is a stream; a page of HTML is held in memory and has a limit of its own.
"""

from __future__ import annotations

import errno
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from pantoum.apps.documents.office import MARKUP, book_pages, package_of, paragraph_lines
from pantoum.apps.documents.page import page_lines
from pantoum.errors import TextError
from pantoum.seams import FORM_HEAD as HEAD
from pantoum.seams import PACKED_FORMS as PACKED
from pantoum.seams import BadDocumentError, Bound, form_of, page_text, read_apart, transcoded, unreadable
from pantoum.seams import FileForm as Form

__all__ = ["document_text"]

BLOCK = 1 << 18
MARKUP_TIMES, MARKUP_ALWAYS = 200, 16 << 20
"""How far parts of markup may expand: those of real documents are some 10 times as large as the file."""
LARGEST_PAGE, PAGE_ALWAYS = 32 << 20, 8 << 20
MOST_TAGS = 1_000_000
LARGEST_DIRECTORY = 8 << 20
"""Bytes of the list of a container's parts, which takes some ten times as much memory."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""All that the three formats allow; others are not unpacked piece by piece."""
CONTAINER = "META-INF/container.xml"
MAIN_PART = {"docx": "word/document.xml", "odt": "content.xml"}
DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, KeyError, EOFError, RuntimeError, NotImplementedError,
    OverflowError, ValueError, OSError,
)  # fmt: skip
"""What zipfile says of containers whose lists are wrong; an OSError where it is sent before their begin."""


def document_text(form: Form, label: str, path: Path, encoding: str | None = None) -> Iterator[bytes]:
    """The text of a document. ``encoding``: of pages that do not say theirs and are not UTF-8."""
    size = path.stat().st_size
    try:
        if form.codec == "html":
            if size > LARGEST_PAGE:
                raise BadDocumentError(f"it is larger than {LARGEST_PAGE >> 20} MiB")
            yield from page_lines(page_text(path.read_bytes(), label, encoding), _tag_counter(size))
            return
        if form.needs:
            yield from Bound(label, size, MARKUP_TIMES, MARKUP_ALWAYS).counted(read_apart(form.codec, path))
            return
        with _BoundedFile(path) as file, zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            if form.codec == "zip" and MAIN_PART["docx"] in names:
                form = PACKED[".docx"]
            codec = form.codec
            if codec == "zip":
                yield from _texts(archive, label, Bound(label, size))
                return
            bound = Bound(label, size, MARKUP_TIMES, MARKUP_ALWAYS)
            if codec == "epub":
                yield from _book(archive, label, encoding, bound, size)
            else:
                blocks = _blocks(archive, MAIN_PART[codec], bound)
                yield from paragraph_lines(blocks, MARKUP[codec], _tag_counter(size), bound.add)
    except BadDocumentError as error:
        raise TextError(f"cannot read {label!r}: {form.name}, and {error}; save it as plain text") from error
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise unreadable(label, error) from error
        said = " ".join(str(error).split())[:200]
        raise TextError(
            f"cannot read {label!r}: {form.name} that is damaged or encrypted ({said}); get it again, or "
            "save it as plain text"
        ) from error


class _BoundedFile(io.FileIO):
    """A container that gives no more at once than the longest list of parts."""

    def read(self, size: int | None = -1, /) -> bytes:
        """``FileIO.read``, within the bound."""
        if size is not None and size > LARGEST_DIRECTORY:
            raise BadDocumentError(f"its list of parts is larger than {LARGEST_DIRECTORY >> 20} MiB")
        return super().read(size) or b""


def _tag_counter(size: int) -> Callable[[], None]:
    """What counts tags, and refuses more than a document of this size may have."""
    left = most = max(MOST_TAGS, size)

    def count() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise BadDocumentError(f"it has more than {most:,} tags")

    return count


def _blocks(archive: zipfile.ZipFile, name: str, bound: Bound) -> Iterator[bytes]:
    """A part, piece by piece. Other methods than the two would unpack all that a piece stands for at once."""
    info = archive.getinfo(name)
    if info.compress_type not in METHODS:
        raise BadDocumentError(f"{name!r} in it is packed by a method that documents may not use")
    with archive.open(info) as file:
        while block := file.read(BLOCK):
            bound.add(len(block))
            yield block


def _book(
    archive: zipfile.ZipFile, label: str, encoding: str | None, bound: Bound, size: int
) -> Iterator[bytes]:
    """The pages of an EPUB book; what its list names and it does not hold is an error."""
    count_tag, most = _tag_counter(size), max(PAGE_ALWAYS, min(LARGEST_PAGE, 2 * size))
    package = package_of(_blocks(archive, CONTAINER, bound))
    for name in book_pages(_blocks(archive, package, bound), package):
        page = io.BytesIO()
        for block in _blocks(archive, name, bound):
            if page.write(block) and page.tell() > most:
                raise BadDocumentError(f"{name!r} in it is larger than {most >> 20} MiB")
        yield from page_lines(page_text(page.getvalue(), f"{label}/{name}", encoding), count_tag)


def _texts(archive: zipfile.ZipFile, label: str, bound: Bound) -> Iterator[bytes]:
    """The texts in a zip archive; everything else in it is left out."""
    found = False
    for name in sorted(archive.namelist()):
        if name.endswith("/") or any(part.startswith(".") for part in name.split("/")):
            continue
        blocks = _blocks(archive, name, bound)
        head = next(blocks, b"")
        form = form_of(head[:HEAD])
        if form.kind not in ("text", "encoded") or not head:
            continue
        found = True
        content = chain([head], blocks)
        yield from content if form.kind == "text" else transcoded(form, f"{label}/{name}", content)
    if not found:
        raise TextError(
            f"cannot read {label!r}: the zip archive holds no text; unpack it to see what is in it"
        )
