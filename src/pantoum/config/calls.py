"""Calls of the Python interface: a wrong or missing argument is a ``SettingError`` that names the right one.

Python answers a call that does not fit the parameters of a function with a ``TypeError``. ``public`` makes it
a ``SettingError``, and ``made`` does the same for settings that arrive as ``**keywords``. Both suggest the
name that was probably meant: the one for which other libraries use this name, else the one of nearest
spelling.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, ParamSpec, TypeVar

from pantoum.config.elsewhere import ELSEWHERE
from pantoum.config.rules import nearest
from pantoum.errors import SettingError, StorageError

__all__ = ["made", "public", "unknown_setting"]

P = ParamSpec("P")
R = TypeVar("R")
Settings = TypeVar("Settings")


def made(
    kind: type[Settings],
    given: Mapping[str, object],
    call: str,
    others: Iterable[str] = (),
    only: Iterable[str] | None = None,
) -> Settings:
    """The settings of a call, from its ``**keywords``. ``others``: the other parameters of the call;
    ``only``: the fields that it takes, where these are not all."""
    names = [one.name for one in fields(kind)] if only is None else list(only)  # type: ignore[arg-type]
    for name, value in given.items():
        if name not in names:
            raise unknown_setting(name, value, call, [*names, *others])
    return kind(**given)


def public(function: Callable[P, R]) -> Callable[P, R]:
    """The same function; a call that does not fit its parameters is a ``SettingError``, and what the system
    says of a file is a ``StorageError``."""

    @functools.wraps(function)
    def call(*arguments: P.args, **keywords: P.kwargs) -> R:
        try:
            return function(*arguments, **keywords)
        except TypeError:
            _require_fit(function, arguments, keywords)
            raise
        except OSError as problem:
            if problem.filename is None:
                raise
            name = repr(str(problem.filename)[:200])
            raise StorageError(
                f"the system reports an error: {name}: {problem.strerror}; check the name, the permissions "
                f"and the free space"
            ) from problem

    return call


def _require_fit(function: Callable[..., Any], arguments: Any, keywords: Mapping[str, Any]) -> None:
    """Raise ``SettingError`` where the arguments are not the function's parameters."""
    import inspect

    signature = inspect.signature(function)
    try:
        signature.bind(*arguments, **keywords)
    except TypeError as problem:
        names = [name for name in signature.parameters if name != "self"]
        call = function.__qualname__.removesuffix(".__init__")
        unknown = [name for name in keywords if name not in names]
        if unknown:
            raise unknown_setting(unknown[0], keywords[unknown[0]], call, names) from None
        takes = ", ".join(names) or "nothing"
        raise SettingError(call, _Call(str(problem)), f"takes {takes}", "give it these") from None


class _Call:
    """How a call went wrong, as a value that shows itself without quotation marks."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    def __repr__(self) -> str:
        return f"called wrongly ({self._problem})"


def unknown_setting(name: str, value: object, call: str, known: Iterable[str]) -> SettingError:
    """The error of a keyword that a call does not take."""
    known = list(known)
    elsewhere = ELSEWHERE.get(name.lower())
    meant = elsewhere if elsewhere in known else nearest(name, known)
    advice = f"did you mean {meant}?" if meant else "it takes " + ", ".join(known)
    return SettingError(name, value, f"is not a setting of {call}", advice)
