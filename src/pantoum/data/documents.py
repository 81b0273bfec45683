"""Files that are no plain text: the interface to the packages that read them (``pantoum.readers``).

An entry point of that group names a function ``reader(head, name)`` of the first 64 KiB of a file and its
name. It gives a function that reads such a file, from its beginning to text in UTF-8, piece by piece; or
``None`` where the file is not of its kind.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from pantoum import extensions
from pantoum.data.forms import HEAD, TEXT, Form, form_of
from pantoum.errors import TextError

Reader: TypeAlias = Callable[[BinaryIO], Iterator[bytes]]


class DocumentFile(io.FileIO):
    """A document that is open to be read, and how it is called."""

    def __init__(self, path: Path, label: str, encoding: str | None) -> None:
        super().__init__(path, "rb")
        self.path, self.label = path, label
        self.encoding = encoding
        """The encoding that was named for texts that do not say theirs."""


def form_in(head: bytes, name: str) -> Form:
    """What a file is: by what pantoum knows, or by an installed package that reads it."""
    form = form_of(head, name)
    if form.kind == "document" or (form == TEXT and not _others()):
        return form
    if form.kind != "compressed" and _reader(head, name) is not None:
        return Form("a document", "document", "other")
    return form


def reader_of(path: Path, label: str) -> Reader:
    """What reads a document; ``TextError`` where no installed package does."""
    with path.open("rb") as file:
        found = _reader(file.read(HEAD), path.name)
    if found is None:
        advice = "save it as plain text, or install pantoum again"
        raise TextError(f"cannot read {label!r}: no installed package reads such documents; {advice}")
    return found


def _others() -> list[str]:
    return [name for name in extensions.names("readers") if name != "documents"]


def _reader(head: bytes, name: str) -> Reader | None:
    return next(filter(None, (reader(head, name) for reader in extensions.each("readers"))), None)
