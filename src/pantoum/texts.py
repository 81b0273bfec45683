"""Texts as the calls of the Python interface take them, and what these calls tell while they read them."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pantoum.config import path, require, several
from pantoum.config import text as checked

if TYPE_CHECKING:
    from pantoum.data.given import GivenText

__all__ = [
    "Prompts",
    "Texts",
    "counting",
    "listed",
    "listed_parts",
    "listed_prompts",
    "named",
    "require_kind",
    "say",
]

Texts: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"
"""A text file or folder, or several; ``-`` is stdin."""
Prompts: TypeAlias = "list[str] | tuple[str, ...]"


def listed(texts: Texts, argument: str = "texts") -> list[str]:
    """Paths as a list of names."""
    if isinstance(texts, (str, os.PathLike)):
        return [path(texts, argument)]
    fits = isinstance(texts, (list, tuple))
    require(fits, argument, texts, "must be a path, or a list of paths", "give str or pathlib.Path")
    return [path(text, argument) for text in texts]


def listed_prompts(given: str | Iterable[str]) -> list[str]:
    """One prompt, or several."""
    if isinstance(given, str):
        return [given]
    rule, advice = "must be a text or texts, at least one", "give a str or a list of them"
    try:
        each = iter(() if isinstance(given, bytes) else given)
    except TypeError:  # also of what claims to be iterable, such as an array of no dimension
        each = iter(())
    prompts = [checked(one, "prompt") for one in each]
    require(bool(prompts), "prompt", given, rule, advice)
    return prompts


def listed_parts(parts: Iterable[str | bytes]) -> Iterable[str | bytes]:
    """The parts of a text; a text in one piece is one part."""
    if isinstance(parts, (str, bytes)):
        return [parts]
    return several(parts, "parts", "texts or bytes")


def require_kind(value: object, kind: type[Any], argument: str) -> None:
    """Raise ``SettingError`` unless an argument is of this class."""
    require(isinstance(value, kind), argument, value, f"must be a {kind.__name__}", "give one")


@contextlib.contextmanager
def named(texts: Texts, text: GivenText | None, documents: str | None) -> Iterator[list[str]]:
    """The names of the files to read, of which a text that is given itself becomes one."""
    if text is None:
        yield listed(texts)
        return
    require(not listed(texts), "texts", texts, "cannot be given together with text", "give one of the two")
    from pantoum.data.given import as_files

    with as_files(text, documents) as names:
        yield names


def say(notes: Iterable[str]) -> None:
    """What a person should know, as warnings."""
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=3)


@contextlib.contextmanager
def counting(what: str, progress: bool) -> Iterator[Callable[[int, int], None] | None]:
    """What counts progress on stderr, or nothing."""
    if not progress:
        yield None
        return
    from pantoum.report.terminal import Counter

    with Counter(what) as counter:
        yield counter
