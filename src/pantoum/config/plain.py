"""Plain values: what JSON can hold, which files, settings and answers consist of; and values as people type
them."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Plain: TypeAlias = "bool | int | float | str | Sequence[Plain] | Mapping[str, Plain] | None"


def as_typed(value: object) -> str:
    """A value of a setting as a person types it: what is off is ``none`` or ``no``."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def quoted(name: str, windows: bool = os.name == "nt") -> str:
    """The name in quotes where it needs them. What is not printable, as a newline is not, is spelled out in
    the form ``$'a\\nb'``, which bash, zsh and POSIX shells from 2024 on read. ``windows``: in the quotes that
    both its shells read."""
    if windows:
        return name if re.fullmatch(r"[\w\\/:.~+-]+", name) else '"' + name.replace('"', '\\"') + '"'
    if name.isprintable():
        return shlex.quote(name)
    return "$'" + "".join(map(_spelled, name)) + "'"


def _spelled(character: str) -> str:
    if character in "\\'":
        return "\\" + character
    if character.isprintable():
        return character
    # Three octal digits: a hexadecimal number might go on with the next character.
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))
