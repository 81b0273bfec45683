"""Options made from the fields of the settings.

The name of a field gives the option, its type says how the text is read, its metadata holds the help. So an
option, a Python keyword and a field have one name and one text. Only what was typed is passed on: the
dataclass has the defaults. The dataclass checks the values; the parser refuses only a text that is not a
number where a number is needed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, fields
from typing import Any

from pantoum.cli.parser import flag
from pantoum.config import AUTO
from pantoum.errors import SettingError

__all__ = ["add_settings", "from_environment", "given"]

GROUPS = {
    "budget": "budget (give one; the default is 5 minutes)",
    "text": "text",
    "model": "model",
    "training": "training",
    "run": "run",
}


def add_settings(parser: argparse.ArgumentParser, settings: type[Any], *, skip: Iterable[str] = ()) -> None:
    """Add an option for each field of a settings dataclass that has a help text, by group."""
    groups: dict[str, object] = {}
    for field in fields(settings):
        if field.name in skip or "help" not in field.metadata:
            continue
        name = field.metadata["group"]
        if name and name not in groups:
            groups[name] = parser.add_argument_group(GROUPS[name])
        _add(groups.get(name, parser), field)


def _add(group: Any, field: Field[Any]) -> None:
    meta, kind = field.metadata, str(field.type)
    options: dict[str, Any] = {"dest": field.name, "help": _help(field), "default": argparse.SUPPRESS}
    if kind == "bool | Auto":
        group.add_argument(flag(field.name), action=argparse.BooleanOptionalAction, **options)
        return
    if kind == "bool":
        group.add_argument(flag(field.name), action="store_true", **options)
        return
    options["metavar"] = "|".join(meta["choices"]) or meta["metavar"]
    if meta["off"]:
        options["metavar"] += "|none"
    if kind.startswith("tuple"):
        group.add_argument(flag(field.name), action="append", **options)
        return
    group.add_argument(flag(field.name), type=_reader(kind, meta["off"]), **options)


def _help(field: Field[object]) -> str:
    """The help text with the default, or with what pantoum chooses where nothing is given."""
    text, default = str(field.metadata["help"]), field.default
    if field.metadata["chosen"]:
        return f"{text} (default: {field.metadata['chosen']})"
    if default is None or default is False or default in ((), AUTO):
        return text
    return f"{text} (default: {default if isinstance(default, str) else f'{default:g}'})"


def _reader(kind: str, off: bool) -> Callable[[str], object]:
    """How the text of an option becomes the value of the field."""
    number: Callable[[str], object] | None = None
    if "str" not in kind:
        number = float if "float" in kind else int

    def read(text: str) -> object:
        if (off and text == "none") or number is None:
            return None if off and text == "none" else text
        if "Auto" in kind and text == AUTO:
            return AUTO
        try:
            return number(text)
        except ValueError:
            what = "a whole number" if number is int else "a number"
            also = " or none" if off else ""
            start = re.match(r"[+-]?[0-9]+(\.[0-9]+)?", text)
            meant = f"; did you mean {start[0]}?" if start and number is not None else ""
            raise argparse.ArgumentTypeError(f"is {text!r}: must be {what}{also}{meant}") from None

    return read


def given(arguments: argparse.Namespace, settings: type[Any], *, skip: Iterable[str] = ()) -> dict[str, Any]:
    """The options of a settings dataclass that were typed, as keywords."""
    found = {
        f.name: getattr(arguments, f.name)
        for f in fields(settings)
        if f.name not in skip and hasattr(arguments, f.name)
    }
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def from_environment(settings: type[Any], prefix: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that variables give, as keywords: ``PANTOUM_SERVE_MAX_TOKENS`` for ``--max-tokens``. Those
    that may be repeated have commas between. A variable with the prefix that is no setting is refused."""
    known = {prefix + one.name.upper(): one for one in fields(settings)}
    found: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(prefix):
            continue
        if name not in known:
            rule, advice = "is no setting", f"unset it; there are {', '.join(sorted(known))}"
            raise SettingError(name, text, rule, advice)
        one = known[name]
        if str(one.type).startswith("tuple"):
            found[one.name] = tuple(part.strip() for part in text.split(",") if part.strip())
            continue
        try:
            found[one.name] = _reader(str(one.type), one.metadata.get("off", False))(text)
        except argparse.ArgumentTypeError as error:
            rule = str(error).partition(": ")[2]
            raise SettingError(name, text, rule, "change it, or unset it") from None
    return found
