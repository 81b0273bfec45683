"""A name as a shell takes it, for commands that are suggested: always one line that can be copied."""

from __future__ import annotations

import shlex

__all__ = ["quoted"]


def quoted(name: str) -> str:
    """The name in quotes where it needs them. What is not printable, as a newline is not, is spelled out in
    the form ``$'a\\nb'``, which bash, zsh and POSIX shells from 2024 on read."""
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
