"""The entry point ``pantoum.readers`` of this app: EPUB, DOCX, ODT, HTML, PDF and RTF."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pantoum.seams import form_of

__all__ = ["reader"]


def reader(head: bytes, name: str) -> Callable[[Any], Iterator[bytes]] | None:
    """What reads a document that begins so and has this name; ``None`` where it is none."""
    form = form_of(head, name)
    if form.kind != "document":
        return None

    def read(file: Any) -> Iterator[bytes]:
        from pantoum.apps.documents.document_text import document_text

        return document_text(form, file.label, file.path, file.encoding)

    return read
