"""Texts at an address, ``s3://bucket/corpus/`` or ``https://host/a.txt.gz``, read by fsspec (the extra
``remote``).

fsspec knows the protocols, their credentials and their libraries; here stand only which files an address
means and what an error says. It is imported when the first address is given, not before. A file is read in
order, block by block, and never copied as a whole. What breaks in the middle, of whatever kind, is a
``TextError`` that names the address. User names, passwords and queries (which may hold a signature) are not
shown.

The size of a file is compared by whoever reads it, so one that grows or shrinks meanwhile is an error.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pantoum.errors import PantoumError, TextError

__all__ = ["RemoteFile", "RemoteReader", "remote_files"]

WITHIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
"""An address in the words of an error."""
MOST_WORDS = 300
"""Characters of an error of fsspec that are shown."""


@dataclass(frozen=True)
class RemoteFile:
    """A file at an address."""

    address: str
    """As it is shown."""
    name: str
    """As it is called in records: without the folder that was given."""
    size: int | None
    """``None``: its server does not say."""
    in_folder: bool
    path: str
    """As fsspec calls it within ``system``."""
    system: Any = field(repr=False)
    """The file system of fsspec."""

    def same(self, other: Any) -> bool:
        """Whether another one is this file."""
        return other is not None and (self.system, self.path) == (other.system, other.path)

    def open(self) -> RemoteReader:
        """The file's bytes, to be read once."""
        return RemoteReader(self)


class RemoteReader:
    """Reads a remote file; a context manager."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        with _in_words(file.address):
            self._stream = file.system.open(file.path, "rb")

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end."""
        with _in_words(self._file.address):
            return bytes(self._stream.read(size))

    def __enter__(self) -> RemoteReader:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # nothing was written
            self._stream.close()


def remote_files(text: str) -> list[RemoteFile]:
    """The files that an address means: itself, or those of a folder that are not hidden, in the order of the
    bytes of their paths below it."""
    try:
        fsspec: Any = importlib.import_module("fsspec.core")
    except ImportError:
        raise TextError(
            f"cannot read {shown(text)!r}: an address needs fsspec; pip install 'pantoum[remote]', or copy "
            "the text here first"
        ) from None
    with _in_words(text):
        system, path = fsspec.url_to_fs(text)
        known = system.info(path)
        if known["type"] != "directory":
            name = PurePosixPath(urlsplit(path).path).name or shown(text)
            return [RemoteFile(shown(text), name, _size(known), False, path, system)]
        folder = path.rstrip("/") + "/"
        below = {
            each.removeprefix(folder): (each, _size(known))
            for each, known in system.find(path, detail=True).items()
            if each.startswith(folder) and not each.endswith("/")
        }
    names = [name for name in below if not any(part.startswith(".") for part in name.split("/"))]
    if not names:
        raise TextError(f"the folder {shown(text)!r} has no files, or only hidden ones; name another")
    names.sort(key=lambda name: name.encode("utf-8", "surrogateescape"))
    begin = shown(text).rstrip("/")
    return [
        RemoteFile(f"{begin}/{name}", name, below[name][1], True, below[name][0], system) for name in names
    ]


def shown(address: str) -> str:
    """An address without user name, password and query, for messages and records."""
    return "::".join(_public(part) for part in address.split("::"))


def _public(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return address.partition("?")[0]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")) or address


def _size(known: Any) -> int | None:
    size = known.get("size")
    return size if isinstance(size, int) and size >= 0 else None


@contextmanager
def _in_words(text: str) -> Iterator[None]:
    """An error of fsspec, or of a library below it, in one line."""
    try:
        yield
    except PantoumError:
        raise
    except Exception as error:
        words = WITHIN.sub(lambda address: shown(address[0]), " ".join(str(error).split())).rstrip(".")
        words = words or "no reason is given"
        words = words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 3] + "..."
        if isinstance(error, FileNotFoundError):
            problem, advice = "there is no such file", "check the address"
        elif isinstance(error, PermissionError):
            problem, advice = "permission denied", "check the credentials that its library uses"
        elif isinstance(error, ImportError):
            problem = f"this kind of address needs a package that is missing ({words})"
            advice = "install it, or copy the text here first"
        else:
            problem = f"{type(error).__name__}: {words}"
            advice = "check the address and the network, or copy the text here first"
        raise TextError(f"cannot read {shown(text)!r}: {problem}; {advice}") from error
