"""What every setting is made of: a field with the text of its option, and the checks of its value.

The checks raise ``SettingError``, which names the argument, its value, the rule and what to do next. They
return the value as plain Python has it: a NumPy integer becomes an ``int``, so that a setting can be
compared, kept in JSON and passed to the core.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import Field, field, fields
from numbers import Integral, Real
from typing import Any, Literal, TypeVar

from pantoum.errors import SettingError

__all__ = [
    "AUTO",
    "MOST_CACHE",
    "Auto",
    "function",
    "nearest",
    "number",
    "one_of",
    "option",
    "path",
    "require",
    "settle",
    "text",
    "truth",
    "whole",
]

MOST_CACHE = 100_000
"""Most tokens in a cache."""

AUTO = "auto"
LEAST_BEGINNING = 3
"""Letters from which the beginning of a word stands for it in a suggestion."""
Auto = Literal["auto"]
Value = TypeVar("Value")
MOST = 2**63 - 1
PATHS = ("FILE", "DIR", "F", "MODEL")
"""The metavars of settings that are paths."""


def option(
    default: object,
    help: str,
    *,
    group: str = "",
    choices: tuple[str, ...] = (),
    metavar: str = "",
    off: bool = False,
    chosen: str = "",
) -> Any:
    """A dataclass field with the text of its option.

    ``off``: the option also takes ``none``. ``chosen``: what is used where the option is not given, in words,
    for an option whose default is ``auto``.
    """
    meta = {
        "help": help,
        "group": group,
        "choices": choices,
        "metavar": metavar,
        "off": off,
        "chosen": chosen,
    }
    return field(default=default, metadata=meta)


def require(condition: bool, argument: str, value: object, rule: str, advice: str) -> None:
    """Raise ``SettingError`` unless ``condition`` holds."""
    if not condition:
        raise SettingError(argument, value, rule, advice)


def whole(value: object, argument: str, *, least: int = 1, most: int | None = None) -> int:
    """A whole number within bounds, as an ``int``. Without ``most`` it must fit a 64-bit integer."""
    fits = isinstance(value, Integral) and not isinstance(value, bool)
    found = int(value) if isinstance(value, Integral) and fits else least - 1
    bounds = f"at least {least}" if most is None and found <= MOST else f"from {least} to {most or MOST}"
    fits = least <= found <= (MOST if most is None else most)
    require(fits, argument, value, f"must be a whole number, {bounds}", f"give {argument} such a number")
    return found


def number(
    value: object,
    argument: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """A finite number within bounds, as an ``int`` or a ``float``."""
    words = [
        f"above {above:g}" if above is not None else "",
        f"at least {least:g}" if least is not None else "",
        f"at most {most:g}" if most is not None else "",
        f"below {below:g}" if below is not None else "",
    ]
    rule = "must be a number " + " and ".join(w for w in words if w)
    x = _float(value)
    fits = (
        math.isfinite(x)
        and (above is None or x > above)
        and (least is None or x >= least)
        and (most is None or x <= most)
        and (below is None or x < below)
    )
    require(fits, argument, value, rule, f"give {argument} such a number")
    return int(value) if isinstance(value, Integral) else x


def _float(value: object) -> float:
    """The number that a value is; NaN where it is none, or too large for a ``float``."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (OverflowError, ValueError):
        return math.nan


def one_of(value: object, argument: str, choices: tuple[str, ...]) -> str:
    """One of the named choices; for a mistyped one the nearest is suggested."""
    if isinstance(value, str) and value in choices:
        return str(value)
    meant = nearest(value, choices) if isinstance(value, str) else None
    advice = "choose one of them" if meant is None else f"did you mean {meant}?"
    raise SettingError(argument, value, "must be one of " + ", ".join(choices), advice)


def nearest(typed: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that a mistyped one is closest to; ``None`` where none is closer than ``cutoff``, from 0
    (anything) to 1 (the same)."""
    from difflib import get_close_matches  # only a mistake pays for the import

    word, known = str(typed).lower(), list(known)
    longer = [name for name in known if len(word) >= LEAST_BEGINNING and name.startswith(word)]
    found = longer or get_close_matches(word, known, n=1, cutoff=cutoff)
    return found[0] if found else None


def text(value: object, argument: str) -> str:
    """A ``str``."""
    require(isinstance(value, str), argument, value, "must be a text (str)", f"give {argument} a text")
    return str(value)


def path(value: object, argument: str) -> str:
    """The path of a file or folder, as a ``str``."""
    try:
        found = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    except Exception:  # of an object that is no path after all
        found = None
    fits = isinstance(found, str) and "\0" not in found
    rule = "must be a path (str or pathlib.Path) without NUL characters"
    require(fits, argument, value, rule, f"give {argument} such a path")
    return str(found)


def truth(value: object, argument: str) -> bool:
    """``True`` or ``False``, as Python or NumPy has them."""
    fits = isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")
    require(fits, argument, value, "must be True or False", f"give {argument} one of them")
    return bool(value)


def function(value: Value, argument: str) -> Value:
    """A function, or ``None``."""
    fits = value is None or callable(value)
    require(fits, argument, value, "must be a function or None", "leave it out otherwise")
    return value


def settle(settings: Any) -> None:
    """Give each field of a frozen dataclass its value as plain Python has it.

    Only the kind of a value is checked here, against the field's type; its bounds are the dataclass's to
    check.
    """
    for one in fields(settings):
        object.__setattr__(settings, one.name, _plain(getattr(settings, one.name), one))


def _plain(value: object, one: Field[object]) -> object:
    kinds = str(one.type).replace("tuple[int, ...]", "tuple").replace("tuple[str, ...]", "tuple").split(" | ")
    if value is None and "None" in kinds:
        return None
    if "str" in kinds and one.metadata.get("metavar") in PATHS:
        return path(value, one.name)
    if "bool" in kinds and not ("Auto" in kinds and isinstance(value, str) and value == AUTO):
        return truth(value, one.name)
    if isinstance(value, (list, tuple)) and "tuple" in kinds:
        return tuple(_scalar(item) for item in value)
    if isinstance(value, Mapping) and kinds[0].startswith("Mapping"):
        return {_scalar(key): _scalar(item) for key, item in value.items()}
    if isinstance(value, str) and ("str" in kinds or "Auto" in kinds or "tuple" in kinds):
        return str(value)
    numeric = {"int", "float"} & set(kinds) or "tuple[int, ...]" in str(one.type)
    if numeric and isinstance(value, Real):
        return _scalar(value)
    words = {
        "Mapping[int, float]": "a dict of numbers",
        "str": "a text",
        "tuple": "several of them",
        "int": "a whole number",
        "float": "a number",
    }
    may = [words.get(kind, repr(AUTO) if kind == "Auto" else kind) for kind in kinds]
    raise SettingError(one.name, value, "must be " + " or ".join(may), f"give {one.name} such a value")


def _scalar(value: object) -> object:
    """A NumPy number as a Python one; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    if isinstance(value, Integral):
        return int(value)
    x = _float(value)
    return value if math.isnan(x) else x
