"""The parser of the command line: errors are one line that says what to type instead.

What a mistyped name probably meant has three sources, in this order: the name that other programs use for the
same thing (``--lr``), an option that begins with what was typed (``--hidden``), a similar spelling
(``trian``). A suggestion never changes what runs.

Nothing here imports the settings: ``pantoum --help`` imports neither them nor the modules of the commands.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn


class _Help(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. argparse asks shutil, which imports three compressors: 2 of 35 ms."""

    def __init__(self, prog: str, **options: Any) -> None:
        columns = os.environ.get("COLUMNS", "")
        if not columns.isdecimal() or int(columns) == 0:
            try:
                columns = str(os.get_terminal_size(sys.__stdout__.fileno()).columns)  # type: ignore[union-attr]
            except (AttributeError, ValueError, OSError):  # no terminal
                columns = "80"
        super().__init__(prog, **{"width": (int(columns) or 80) - 2, **options})


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that says what to type instead.

    Options and files may come in any order (``parse_known_intermixed_args``). An option is never guessed from
    its beginning. What is not understood is an error of the command that did not understand it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", _Help)
        super().__init__(*arguments, **options)
        self.others: Callable[[], Mapping[str, Collection[str]]] = dict
        """Gives the options of the other commands, by their name: for suggestions."""
        self.fill: Callable[[], None] | None = None
        """Adds the options and the examples; called once, when they are first needed."""
        self.describe: Callable[[], object] = int
        """Says what each command does; called when help is asked for."""
        self.mixed = True
        """Whether options and files may come in any order."""

    def filled(self) -> Parser:
        """This parser with all its options."""
        fill, self.fill = self.fill, None
        if fill is not None:
            fill()
        return self

    def format_help(self) -> str:
        """The help of the command."""
        self.filled()
        self.describe()
        return super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; options and files of a command may be mixed. What is left over is an error here."""
        self.filled()
        if not self.mixed:
            return super().parse_known_args(args, namespace)
        if self._subparsers is not None:
            first = next(iter(args or ()), "")
            if (
                first.startswith("-")
                and first != "--"
                and first.partition("=")[0] not in self._option_string_actions
            ):
                self.error(f"{self._about_unknown([first])}; options come after the command")
            found, unknown = super().parse_known_args(args, namespace)
        else:
            # argparse before 3.12 formats the usage in between, where a % in a metavar must be doubled.
            self.usage = self.format_usage().removeprefix("usage: ").strip().replace("%", "%%")
            self.mixed = False
            try:
                found, unknown = self.parse_known_intermixed_args(args, namespace)
            finally:
                self.usage, self.mixed = None, True
        if unknown:
            self.error(self._about_unknown(unknown))
        return found, unknown

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """A name that is not among the choices: suggest a near one."""
        if action.choices is None or value in action.choices:
            return
        from pantoum.config import nearest  # only a mistake pays for the import

        if isinstance(action, argparse._SubParsersAction):
            self.error(f"there is no command {value!r}: {command_advice(str(value), list(action.choices))}")
        choices = [str(choice) for choice in action.choices]
        meant = nearest(value, choices)
        advice = f"did you mean {meant}?" if meant else f"it must be one of {', '.join(choices)}"
        raise argparse.ArgumentError(action, f"is {value!r}: {advice}")

    def _about_unknown(self, unknown: Sequence[str]) -> str:
        options = [word for word in unknown if word.startswith("-") and word != "-"]
        if not options:
            words = " ".join(unknown)
            if "--prompt" in self.option_names():
                from pantoum.config.plain import quoted

                typed = quoted(words)
                return f"the text to continue is given with --prompt: `{self.prog} ... --prompt {typed}`"
            return f"{words} is one argument too many"
        advice = option_advice(options[0], self.option_names(), self.others())
        name = options[0].partition("=")[0]
        return f"there is no option {name}" + (f": {advice}" if advice else "")

    def option_names(self) -> list[str]:
        """All options in their long form."""
        self.filled()
        return [name for action in self._actions for name in action.option_strings if name.startswith("--")]

    def error(self, message: str) -> NoReturn:
        """Exit after one line: with 1 where a value is refused, as the settings refuse it, else with 2."""
        code = 1 if ": is " in message else 2
        line = " ".join(message.split()).removeprefix("argument ").replace(": is ", " is ", 1)
        line = re.sub(r"^(\S+): expected (one|at least one) argument$", r"\1 needs a value", line)
        line = re.sub(
            r"^(\S+?)(/\S+)?: ignored explicit argument (.*)$", r"\1 takes no value, but has \3", line
        )
        missing = re.fullmatch("the following arguments are required: (.*)", line)
        if missing:
            verb = "are" if "," in missing[1] else "is"
            line = f"{missing[1]} {verb} missing: type for example `{self._example()}`"
        line = line if line.endswith("?") else line + ";"
        self.exit(code, f"{self.prog}: {line} `{self.prog} --help` lists its options\n")

    def _example(self) -> str:
        """The first example of the help."""
        lines = [line.strip().partition("   ")[0] for line in (self.epilog or "").splitlines()]
        return next((line for line in lines if line.startswith(self.prog)), self.prog)


def with_files(words: Sequence[str]) -> list[str]:
    """The words of a command line, where all after ``--`` are names of files: one that begins as an option
    does is written so that it is none (``./-x.txt``). The parser mixes options and files, and asks for it."""
    if "--" not in words:
        return list(words)
    place = list(words).index("--")
    files = (f"./{word}" if word.startswith("-") and word != "-" else word for word in words[place + 1 :])
    return [*words[:place], *files]


COMMANDS_ELSEWHERE = {
    "convert": "export",
    "eval": "evaluate",
    "finetune": "train",
    "predict": "generate",
    "quantize": "export",
    "sample": "generate",
    "tokenize": "prepare",
}


def option_advice(typed: str, known: Collection[str], others: Mapping[str, Collection[str]]) -> str:
    """What to type instead of an option that a command does not have; empty where nothing is near.

    ``known``: the options of the command. ``others``: the options of the other commands by their name.
    """
    from pantoum.config.rules import ELSEWHERE, meant
    from pantoum.config.setting import flag

    name = typed.partition("=")[0]
    bare = name.strip("-").lower().replace("-", "_")
    names = {option.lstrip("-").replace("-", "_"): option for option in known}
    elsewhere = ELSEWHERE.get(bare, "")
    owners = [command for command, options in others.items() if {name, flag(elsewhere)} & set(options)]
    if owners and elsewhere not in names:
        return f"it is an option of `pantoum {'train' if 'train' in owners else owners[0]}`"
    near = meant(bare, names) if len(bare) > 1 else None
    return f"did you mean {names[near]}?" if near else ""


def command_advice(typed: str, commands: Collection[str]) -> str:
    """What to type instead of a command that does not exist."""
    from pathlib import Path

    from pantoum.config.rules import nearest

    if typed == "help":
        return "type `pantoum --help`, or `pantoum train --help` for one command"
    if typed == "version":
        return "type `pantoum --version`"
    if typed == "pantoum":
        return "it is given twice; leave one out"
    near = COMMANDS_ELSEWHERE.get(typed.lower()) or nearest(typed, commands)
    if near is not None:
        return f"did you mean `pantoum {near}`?"
    path = Path(typed)
    with suppress(OSError, ValueError):  # a name that no file can have
        if path.exists():
            is_model = path.suffix == ".safetensors" or (path / "model.safetensors").exists()
            command = "generate" if is_model else "train"
            return f"it is a file or folder: did you mean `pantoum {command} {typed}`?"
    return "the commands are " + ", ".join(commands)
