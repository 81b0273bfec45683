"""Options made from the fields of the settings, so that a flag, a keyword and a field are one thing.

A field's name gives the flag, its type how the text is read, its metadata the help. Only what a person typed
is handed on: defaults are the dataclass's own. Whether a value makes sense is the dataclass's to say; here
only what is no number at all is refused, as wrong usage.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import Field, fields
from typing import Any

from pantoum.config import AUTO

__all__ = ["Parser", "add_settings", "flag", "given"]

GROUPS = {"budget": "budget (one of)", "text": "text", "model": "model", "training": "training", "run": "run"}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that says what to do next; a flag is never guessed from its
    start."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*arguments, **options)

    def error(self, message: str) -> Any:
        """Exit with 2 after one line."""
        line = " ".join(message.split()).removeprefix("argument ").replace(": is ", " is ", 1)
        self.exit(2, f"{self.prog}: {line}; `{self.prog} --help` lists what can be given\n")


def flag(name: str) -> str:
    """The flag of a setting."""
    return "--" + name.rstrip("_").replace("_", "-")


def add_settings(parser: argparse.ArgumentParser, settings: type[Any], *, skip: Iterable[str] = ()) -> None:
    """Add an option for each field of a settings dataclass that has a help text, in the groups of the
    fields."""
    groups: dict[str, Any] = {}
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


def _help(field: Field[Any]) -> str:
    """The help text, with the default where that is a value that says something."""
    text, default = str(field.metadata["help"]), field.default
    if default in (None, False, (), AUTO):
        return text
    return f"{text} (default {default if isinstance(default, str) else f'{default:g}'})"


def _reader(kind: str, off: bool) -> Callable[[str], Any]:
    """How a flag's text becomes the field's value."""
    number: Callable[[str], Any] | None = None
    if "str" not in kind:
        number = float if "float" in kind else int

    def read(text: str) -> Any:
        if (off and text == "none") or number is None:
            return None if off and text == "none" else text
        if "Auto" in kind and text == AUTO:
            return AUTO
        try:
            return number(text)
        except ValueError:
            what = "a whole number" if number is int else "a number"
            also = " or none" if off else ""
            raise argparse.ArgumentTypeError(f"is {text!r}: must be {what}{also}") from None

    return read


def given(arguments: argparse.Namespace, settings: type[Any], *, skip: Iterable[str] = ()) -> dict[str, Any]:
    """What was typed of a settings dataclass, as keywords."""
    found = {
        f.name: getattr(arguments, f.name)
        for f in fields(settings)
        if f.name not in skip and hasattr(arguments, f.name)
    }
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
