"""Calls of the Python interface: a wrong or missing argument is a ``SettingError`` that names the right one.

Python answers a call that does not fit the parameters of a function with a ``TypeError``. ``public`` makes it
a ``SettingError`` that suggests the name which was probably meant: the one for which other libraries use this
name, else the one of nearest spelling. ``taking`` does the same for a function whose ``**keywords`` are
settings, and gives it the signature and the documentation that lists them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from pantoum.config.rules import meant
from pantoum.config.setting import Setting, SettingGroup, declared
from pantoum.errors import SettingError, StorageError

P = ParamSpec("P")
R = TypeVar("R")


def public(function: Callable[P, R]) -> Callable[P, R]:
    """The same function; a call that does not fit its parameters is a ``SettingError``, and what the system
    says of a file is a ``StorageError``."""

    @functools.wraps(function)
    def call(*arguments: P.args, **keywords: P.kwargs) -> R:
        try:
            return function(*arguments, **keywords)
        except TypeError:
            _require_fit(call, arguments, keywords)
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


def taking(*kinds: type[SettingGroup]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a function public whose ``**keywords`` are the settings of these kinds."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        found = {name: one for kind in kinds for name, one in declared(kind).items()}
        checked = public(function)
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        more = [one for name, one in found.items() if name not in signature.parameters]
        known = {*signature.parameters, *(one.name for one in more)}

        @functools.wraps(function)
        def call(*arguments: P.args, **keywords: P.kwargs) -> R:
            if not known.issuperset(keywords):
                _require_fit(call, arguments, keywords)
            return checked(*arguments, **keywords)

        call.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*own, *map(_parameter, more)]
        )
        listed = "".join(f"\n    {one.name}: {one.described}" for one in more)
        call.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nSettings:\n{listed}\n"
        return call

    return decorate


def _parameter(one: Setting) -> inspect.Parameter:
    return inspect.Parameter(
        one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=one.type
    )


def _require_fit(function: Callable[..., Any], arguments: Any, keywords: Mapping[str, Any]) -> None:
    """Raise ``SettingError`` where the arguments are not the function's parameters."""
    signature = inspect.signature(function)
    try:
        signature.bind(*arguments, **keywords)
    except TypeError as problem:
        names = [name for name in signature.parameters if name != "self"]
        call = function.__qualname__.removesuffix(".__init__")
        for name in keywords:
            if name not in names:
                near = meant(name, names)
                advice = f"did you mean {near}?" if near else "it takes " + ", ".join(names)
                rule = f"is not a setting of {call}"
                raise SettingError(name, keywords[name], rule, advice, shown=False) from None
        rule = f"takes {', '.join(names) or 'nothing'}, but was called wrongly ({problem})"
        raise SettingError(call, None, rule, "give it these", shown=False) from None
