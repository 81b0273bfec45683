"""Texts at an address, ``s3://bucket/corpus/``: the interface to the package that reads them
(``pantoum.addresses``)."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any, Protocol

from pantoum import extensions

__all__ = ["RemoteFile", "RemoteReader", "is_address", "remote_files"]

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(://|::)")  # one letter is a disk of Windows


class RemoteReader(Protocol):
    """Reads a remote file; a context manager."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, none at the end."""

    def __enter__(self) -> RemoteReader: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


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

    def open(self) -> RemoteReader:
        """The file's bytes, to be read once."""


def is_address(text: str) -> bool:
    """Whether a text names a file at an address, and not a path of this machine."""
    return ADDRESS.match(text) is not None


def remote_files(text: str) -> list[RemoteFile]:
    """The files that an address means: itself, or those of a folder that are not hidden."""
    found: list[RemoteFile] = extensions.find("addresses", "texts")(text)
    return found
