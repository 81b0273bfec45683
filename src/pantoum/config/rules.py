"""What every setting is made of: a field with the text of its option, and the checks of its value.

The checks raise ``SettingError``: the argument, its value, the rule, what to do next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import field
from typing import Any, Literal

from pantoum.errors import SettingError

__all__ = ["AUTO", "Auto", "nearest", "number", "one_of", "option", "require", "whole"]

AUTO = "auto"
Auto = Literal["auto"]


def option(
    default: Any,
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


def whole(value: object, argument: str, *, least: int = 1, most: int | None = None) -> None:
    """Require a whole number within bounds."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    fits = fits and (most is None or int(value) <= most)  # type: ignore[call-overload]
    bounds = f"at least {least}" if most is None else f"from {least} to {most}"
    require(fits, argument, value, f"must be a whole number, {bounds}", f"give {argument} such a number")


def number(
    value: object,
    argument: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> None:
    """Require a finite number within bounds."""
    words = [
        f"above {above:g}" if above is not None else "",
        f"at least {least:g}" if least is not None else "",
        f"at most {most:g}" if most is not None else "",
        f"below {below:g}" if below is not None else "",
    ]
    rule = "must be a number " + " and ".join(w for w in words if w)
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if fits:
        x = float(value)  # type: ignore[arg-type]
        fits = (
            (above is None or x > above)
            and (least is None or x >= least)
            and (most is None or x <= most)
            and (below is None or x < below)
        )
    require(fits, argument, value, rule, f"give {argument} such a number")


def one_of(value: object, argument: str, choices: tuple[str, ...]) -> None:
    """Require one of the named choices; a near one is suggested."""
    if value in choices:
        return
    meant = nearest(value, choices)
    advice = "choose one of them" if meant is None else f"did you mean {meant}?"
    raise SettingError(argument, value, "must be one of " + ", ".join(choices), advice)


def nearest(typed: object, known: Iterable[str]) -> str | None:
    """The known word that a mistyped one is closest to; ``None`` where none is close."""
    from difflib import get_close_matches  # only a mistake pays for the import

    found = get_close_matches(str(typed).lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None
