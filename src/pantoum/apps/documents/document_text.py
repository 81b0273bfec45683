"""The text of EPUB books, DOCX, ODT, RTF and PDF documents and HTML pages, as UTF-8 bytes: one line per
paragraph, of PDF the lines of its pages. A plain zip archive is read as the texts in it, in order of their
names.

``document_parts`` reads them in a process of its own (``seams.read_apart``), which bounds what a file
may cost; its text may be as large as ``Bound`` allows, ``MARKUP_TIMES`` its size where it is markup.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pantoum.apps.documents import document_parts
from pantoum.errors import TextError
from pantoum.seams import Bound, read_apart
from pantoum.seams import FileForm as Form

__all__ = ["document_text"]

MARKUP_TIMES, MARKUP_ALWAYS = 200, 16 << 20
"""How far parts of markup may expand: those of real documents are some 10 times as large as the file."""


def document_text(form: Form, label: str, path: Path, encoding: str | None = None) -> Iterator[bytes]:
    """The text of a document. ``encoding``: of pages that do not say theirs and are not UTF-8."""
    size = path.stat().st_size
    bound = Bound(label, size) if form.codec == "zip" else Bound(label, size, MARKUP_TIMES, MARKUP_ALWAYS)
    blocks = read_apart(
        f"{document_parts.__name__}:reader",
        [form.codec, label, encoding or ""],
        [path],
        f"cannot read {label!r} ({form.name})",
        "get it again, or save it as plain text",
        TextError,
    )
    yield from bound.counted(blocks)
