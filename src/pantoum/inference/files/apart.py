"""Where a file may be written: in a folder that exists, and not over a text or a model that is read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pantoum.errors import SettingError


def require_place(argument: str, out: str | os.PathLike[str]) -> None:
    """Raise ``SettingError`` if no file can be there."""
    target = Path(out)
    if target.is_dir() or not target.parent.is_dir():
        rule = "must be a file in a folder that exists"
        raise SettingError(argument, os.fspath(out), rule, "give another file")


def require_apart(
    argument: str, out: str | os.PathLike[str], what: str, read: Iterable[str | os.PathLike[str] | None]
) -> None:
    """Raise ``SettingError`` if a file that is to be written is one of these, or lies in one of these folders
    already. Names that are no files here, such as ``-`` or an address, are passed over."""
    target = Path(out)
    if not target.exists():
        return
    for name in read:
        path = None if name is None else Path(name)
        if path is None or not path.exists():
            continue
        inside = path.is_dir() and path.resolve() in target.resolve().parents
        if inside or target.samefile(path):
            raise SettingError(
                argument, os.fspath(out), f"is {what}, which would be lost", "give another file"
            )
