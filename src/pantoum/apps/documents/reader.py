"""The entry point ``pantoum.readers`` of this app: the text of EPUB books, DOCX, ODT, RTF and PDF documents
and HTML pages, as UTF-8 bytes: one line per paragraph, of PDF the lines of its pages. A plain zip archive is
read as the texts in it, in order of their names.

``document_parts`` reads them in a process of its own (``seams.read_apart``), which bounds what a file may
cost; its text may be as large as ``Bound`` allows, ``MARKUP_TIMES`` its size where it is markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pantoum.errors import TextError
from pantoum.seams import Bound, form_of, read_apart
from pantoum.seams import FileForm as Form

__all__ = ["document_text", "reader"]

MARKUP_TIMES, MARKUP_ALWAYS = 200, 16 << 20
"""How far parts of markup may expand: those of real documents are some 10 times as large as the file."""


def reader(head: bytes, name: str) -> Callable[[Any], Iterator[bytes]] | None:
    """What reads a document that begins so and has this name; ``None`` where it is none."""
    form = form_of(head, name)
    if form.kind != "document":
        return None
    return lambda file: document_text(form, file.label, file.path, file.encoding)


def document_text(form: Form, label: str, path: Path, encoding: str | None = None) -> Iterator[bytes]:
    """The text of a document. ``encoding``: of pages that do not say theirs and are not UTF-8."""
    size = path.stat().st_size
    bound = Bound(label, size) if form.codec == "zip" else Bound(label, size, MARKUP_TIMES, MARKUP_ALWAYS)
    name, subject = f"{__package__}.document_parts:reader", f"cannot read {label!r} ({form.name})"
    advice = "get it again, or save it as plain text"
    yield from bound.counted(
        read_apart(name, [form.codec, label, encoding or ""], [path], subject, advice, TextError)
    )
