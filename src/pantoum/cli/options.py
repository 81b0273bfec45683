"""The parser of the command line, and options made from the fields of the settings.

The name of a field gives the option, its type says how the text is read, its metadata holds the help. So an
option, a Python keyword and a field have one name and one text. Only what was typed is passed on: the
dataclass has the defaults. The dataclass checks the values; the parser refuses only a text that is not a
number where a number is needed.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import Field, fields
from typing import Any, NoReturn

from pantoum.cli.suggest import command_advice, option_advice
from pantoum.config import AUTO, nearest

__all__ = ["Parser", "add_settings", "flag", "given"]

GROUPS = {
    "budget": "budget (give one; the default is 5 minutes)",
    "text": "text",
    "model": "model",
    "training": "training",
    "run": "run",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that says what to type instead.

    Options and files may come in any order (``parse_known_intermixed_args``). An option is never guessed from
    its beginning. What is not understood is an error of the command that did not understand it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*arguments, **options)
        self.others: Mapping[str, Collection[str]] = {}
        """The options of the other commands, by their name: for suggestions."""
        self._intermixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; options and files of a command may be mixed. What is left over is an error here."""
        if self._intermixing:
            return super().parse_known_args(args, namespace)
        if self._subparsers is not None:
            found, unknown = super().parse_known_args(args, namespace)
        else:
            # argparse before 3.12 formats the usage in between, where a % in a metavar must be doubled.
            self.usage = self.format_usage().removeprefix("usage: ").strip().replace("%", "%%")
            self._intermixing = True
            try:
                found, unknown = self.parse_known_intermixed_args(args, namespace)
            finally:
                self.usage, self._intermixing = None, False
        if unknown:
            self.error(self._about_unknown(unknown))
        return found, unknown

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """A name that is not among the choices: suggest a near one."""
        if action.choices is None or value in action.choices:
            return
        if isinstance(action, argparse._SubParsersAction):
            self.error(f"there is no command {value!r}: {command_advice(str(value), list(action.choices))}")
        choices = [str(choice) for choice in action.choices]
        meant = nearest(value, choices)
        advice = f"did you mean {meant}?" if meant else f"must be one of {', '.join(choices)}"
        raise argparse.ArgumentError(action, f"is {value!r}: {advice}")

    def _about_unknown(self, unknown: Sequence[str]) -> str:
        options = [word for word in unknown if word.startswith("-") and word != "-"]
        if not options:
            words = " ".join(unknown)
            if "--prompt" in self.option_names():
                typed = shlex.quote(words)
                return f"the text to continue is given with --prompt: `{self.prog} ... --prompt {typed}`"
            return f"{words} is one argument too many"
        advice = option_advice(options[0], self.option_names(), self.others)
        name = options[0].partition("=")[0]
        return f"there is no option {name}" + (f": {advice}" if advice else "")

    def option_names(self) -> list[str]:
        """All options in their long form."""
        return [name for action in self._actions for name in action.option_strings if name.startswith("--")]

    def error(self, message: str) -> NoReturn:
        """Exit with 2 after one line."""
        line = " ".join(message.split()).removeprefix("argument ").replace(": is ", " is ", 1)
        line = re.sub(r"^(\S+): expected (one|at least one) argument$", r"\1 needs a value", line)
        missing = re.fullmatch("the following arguments are required: (.*)", line)
        if missing:
            verb = "are" if "," in missing[1] else "is"
            line = f"{missing[1]} {verb} missing: type for example `{self._example()}`"
        line = line if line.endswith("?") else line + ";"
        self.exit(2, f"{self.prog}: {line} `{self.prog} --help` lists its options\n")

    def _example(self) -> str:
        """The first example of the help."""
        lines = [line.strip().partition("   ")[0] for line in (self.epilog or "").splitlines()]
        return next((line for line in lines if line.startswith(self.prog)), self.prog)


def flag(name: str) -> str:
    """The option of a setting: ``--hidden-size`` of ``hidden_size``."""
    return "--" + name.rstrip("_").replace("_", "-")


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
