"""Files that are no plain text, and texts at an address, ``s3://bucket/corpus/``: the interface to the
packages that read them (``pantoum.readers``, ``pantoum.addresses``).

An entry point of that group names a function ``reader(head, name)`` of the first 64 KiB of a file and its
name. It gives a function that reads such a file, from its beginning to text in UTF-8, piece by piece; or
``None`` where the file is not of its kind.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

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


ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(://|::)")


class RemoteFile(Protocol):
    """A file at an address."""

    @property
    def address(self) -> str:
        """As it is shown."""

    @property
    def name(self) -> str:
        """As it is called in records: without the folder that was given."""

    @property
    def size(self) -> int | None:
        """``None``: its server does not say."""

    @property
    def in_folder(self) -> bool:
        """Whether a folder was given."""

    def same(self, other: Any) -> bool:
        """Whether another one is this file."""

    def open(self) -> BinaryIO:
        """The file's bytes, to be read once."""


def is_address(text: str) -> bool:
    """Whether a text names a file at an address, and not a path of this machine."""
    return ADDRESS.match(text) is not None


def remote_files(text: str) -> list[RemoteFile]:
    """The files that an address means: itself, or those of a folder that are not hidden."""
    found: list[RemoteFile] = extensions.find("addresses", "texts")(text)
    return found
