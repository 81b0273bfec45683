"""Options made from the declarations of settings (``config.setting``).

The name of a setting gives its option, its type says how the word is read, so that an option, a keyword and a
field have one name and one text. Only what was typed is passed on: the class of the settings has the
defaults, and it checks the values; the parser refuses only a word that is no number where one is needed.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from pantoum.config import AUTO
from pantoum.config.setting import Setting, SettingGroup, declared, flag
from pantoum.errors import SettingError

LARGEST_EXACT = 2.0**53
"""Below it every whole number is a ``float``."""
FACTORS = {"k": 1e3, "m": 1e6, "%": 0.01}
MINUTES = {
    **dict.fromkeys(("h", "hour", "hours"), 60.0),
    "m": 1.0,
    **dict.fromkeys(("s", "sec", "seconds"), 1 / 60),
}
"""What people write behind a number; of minutes, units of time."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model that a command works with."""
    named = "a model file, a run folder (its best model), base:NAME (an installed base), or hf://owner/name"
    parser.add_argument("model", metavar="MODEL", help=named)


def add_settings(parser: argparse.ArgumentParser, kind: type[SettingGroup]) -> None:
    """Add an option for each setting of a class, by group."""
    groups: dict[str, Any] = {"": parser}
    for one in declared(kind).values():
        if one.group not in groups:
            groups[one.group] = parser.add_argument_group(one.group)
        if one.option:
            _add(groups[one.group], one)


def _add(group: Any, one: Setting) -> None:
    text = one.described.replace("%", "%%")
    options: dict[str, Any] = {"dest": one.name, "help": text, "default": argparse.SUPPRESS}
    if one.type == "bool | Auto":
        group.add_argument(flag(one.name), action=argparse.BooleanOptionalAction, **options)
        return
    if one.type == "bool":
        group.add_argument(flag(one.name), action="store_true", **options)
        return
    options["metavar"] = "|".join(one.choices) or one.metavar
    if one.off:
        options["metavar"] += "|none"
    if one.type.startswith("tuple"):
        group.add_argument(flag(one.name), action="append", **options)
        return
    group.add_argument(flag(one.name), type=reader(one), **options)


def reader(one: Setting) -> Callable[[str], object]:
    """How the word of an option becomes a value."""
    number: Callable[[str], object] | None = None
    if "str" not in one.type:
        number = float if "float" in one.type else int

    def read(text: str) -> object:
        if one.off and text == "none":
            return None
        if number is None or ("Auto" in one.type and text == AUTO):
            return text
        try:
            return number(text)
        except ValueError:
            what = "a whole number" if number is int else "a number"
            also = " or none" if one.off else ""
            meant = _meant(text, number is int, one.name == "minutes")
            meant = f"; did you mean {meant}?" if meant else ""
            raise argparse.ArgumentTypeError(f"is {text!r}: it must be {what}{also}{meant}") from None

    return read


def _meant(text: str, whole: bool, minutes: bool) -> str:
    """The number that a word stands for, or begins with; empty where none is seen. 1e3 is 1000, as 1k and
    1,000 are; 1,5 is 1.5, 10% is 0.1, and 1h of minutes 60."""
    found = re.match(r"[+-]?[0-9]+([.,][0-9]+)*(e[+-]?[0-9]+)?", text, re.IGNORECASE)
    if found is None:
        return ""
    digits, unit = found[0], text[found.end() :].strip().lower()
    thousands = re.fullmatch(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", digits)
    factors = {**FACTORS, **(MINUTES if minutes else {})}
    try:
        number = float(digits.replace(",", "" if thousands else ".")) * factors.get(unit, 1.0)
    except ValueError:  # 1.2.3
        return ""
    if whole:
        return str(int(number)) if number.is_integer() and abs(number) < LARGEST_EXACT else ""
    return f"{number:.12g}" if math.isfinite(number) else ""


def given(arguments: argparse.Namespace, kind: type[SettingGroup]) -> dict[str, Any]:
    """The settings of a class that were typed, as keywords."""
    return {name: getattr(arguments, name) for name in declared(kind) if hasattr(arguments, name)}


def from_environment(kind: type[SettingGroup], prefix: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that variables give, as keywords: ``PANTOUM_SERVE_MAX_TOKENS`` for ``--max-tokens``. Those
    that may be repeated have commas between. A variable with the prefix that is no setting is refused."""
    known = {prefix + name.upper(): one for name, one in declared(kind).items()}
    found: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(prefix):
            continue
        if name not in known:
            rule, advice = "is not a setting", f"unset it; the variables are {', '.join(sorted(known))}"
            raise SettingError(name, text, rule, advice)
        one = known[name]
        if one.type.startswith("tuple"):
            found[one.name] = tuple(part.strip() for part in text.split(",") if part.strip())
            continue
        try:
            found[one.name] = reader(one)(text)
        except argparse.ArgumentTypeError as error:
            rule = str(error).rpartition(": it ")[2]
            raise SettingError(name, text, rule, "change it, or unset it") from None
    return found
