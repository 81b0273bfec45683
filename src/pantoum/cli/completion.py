"""``pantoum completion``: the script by which a shell completes commands, options and their values.

The scripts are made from the parser. A script holds all that a shell needs to know, so that Tab starts no
Python. Where an option takes a value that is not one of a few words, and where a command takes files, the
shell completes names of files.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pantoum.cli.output import Output

__all__ = ["EXAMPLES", "SHELLS", "add_options", "commands_of", "run"]

EXAMPLES = """examples:
  pantoum completion bash > pantoum         for ~/.local/share/bash-completion/completions
  pantoum completion zsh > _pantoum         for a folder of $fpath
  pantoum completion fish > pantoum.fish    for ~/.config/fish/completions

A new shell reads the file from that folder. Make it again after an update of pantoum.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the name of the shell."""
    parser.add_argument("shell", choices=list(SHELLS), metavar="SHELL", help="bash, zsh or fish")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Print the script."""
    from pantoum.cli.main import make_parser

    output.write(SHELLS[arguments.shell](make_parser()))


class Option(NamedTuple):
    """An option of a command."""

    names: tuple[str, ...]
    words: tuple[str, ...] | None
    """The words of which its value is one; empty where it is anything else, ``None`` where it takes none."""
    help: str


class Command(NamedTuple):
    """A command."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[str, ...]
    """The words of which its first argument is one; empty where it takes files or nothing."""


def commands_of(parser: argparse.ArgumentParser) -> list[Command]:
    """All commands of a parser with subcommands."""
    parser.format_help()  # commands are described when they are first needed
    (subparsers,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    purposes = {str(each.dest): str(each.help) for each in subparsers._choices_actions}
    return [
        Command(name, purposes[name], tuple(_options(command)), _words_of_arguments(command))
        for name, command in subparsers.choices.items()
    ]


def _options(command: argparse.ArgumentParser) -> Iterator[Option]:
    command.format_help()  # a command has its options when they are first needed
    for action in command._actions:
        if action.option_strings:
            takes_value = action.nargs != 0
            help = re.sub(r"\s+", " ", str(action.help).replace("%%", "%"))
            yield Option(tuple(action.option_strings), _words(action) if takes_value else None, help)


def _words_of_arguments(command: argparse.ArgumentParser) -> tuple[str, ...]:
    return next((_words(action) for action in command._actions if not action.option_strings), ())


def _words(action: argparse.Action) -> tuple[str, ...]:
    """The values of an argument, as its choices or its metavar (``gru|lstm``) list them."""
    listed = [str(each) for each in action.choices or str(action.metavar).split("|")]
    return tuple(each for each in listed if re.fullmatch(r"[a-z0-9][a-z0-9-]*", each))


def bash(parser: argparse.ArgumentParser) -> str:
    """The script for bash: a function of the words that were typed."""
    commands = commands_of(parser)
    values, options = [], []
    for command in commands:
        first = _joined(command.words)
        options.append(f"    {command.name}) options='{_all_names(command)}' first='{first}' ;;")
        for option in command.options:
            if option.words is not None:
                names = "|".join(f"'{command.name} {name}'" for name in option.names)
                values.append(f"    {names}) words='{_joined(option.words)}' ;;")
    names = _joined(tuple(command.name for command in commands))
    everywhere = _joined(tuple(name for action in parser._actions for name in action.option_strings))
    lines = [
        "# Completion of pantoum for bash, made by `pantoum completion bash`.",
        "_pantoum() {",
        "  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words options first",
        "  COMPREPLY=()",
        "  if [[ $current == = ]]; then current=",  # --option=value is three words
        "  elif [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi",
        "  if ((COMP_CWORD == 1)); then",
        f"    COMPREPLY=($(compgen -W '{names} {everywhere}' -- \"$current\"))",
        "    return",
        "  fi",
        '  case "${COMP_WORDS[1]} $before" in',
        *values,
        "    *)",
        '  case "${COMP_WORDS[1]}" in',
        *options,
        "  esac",
        "  if [[ $current == -* ]]; then words=$options; elif ((COMP_CWORD == 2)); then words=$first; fi ;;",
        "  esac",
        '  [[ $words ]] && COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        "complete -o default -o bashdefault -F _pantoum pantoum",
    ]
    return "\n".join(lines) + "\n"


def zsh(parser: argparse.ArgumentParser) -> str:
    """The script for zsh: ``_arguments`` of each command."""
    commands = commands_of(parser)
    purposes = [_zsh_quoted(f"{command.name}:{command.help}") for command in commands]
    parts = []
    for command in commands:
        specs = [_zsh_option(option) for option in command.options]
        specs.append(
            _zsh_quoted(f":argument:({_joined(command.words)})" if command.words else "*:file:_files")
        )
        lines = " \\\n        ".join(specs)
        parts.append(f"    {command.name})\n      _arguments -s \\\n        {lines} ;;")
    return "\n".join(
        [
            "#compdef pantoum",
            "# Completion of pantoum for zsh, made by `pantoum completion zsh`.",
            "_pantoum() {",
            "  local -a commands=(",
            *(f"    {purpose}" for purpose in purposes),
            "  )",
            "  if ((CURRENT == 2)); then",
            "    _describe command commands",
            "    return",
            "  fi",
            "  shift words",
            "  ((CURRENT--))",
            "  case $words[1] in",
            *parts,
            "  esac",
            "}",
            'if [[ $funcstack[1] == _pantoum ]]; then _pantoum "$@"; else compdef _pantoum pantoum; fi',
            "",
        ]
    )


def _zsh_option(option: Option) -> str:
    """One option as ``_arguments`` takes it; only one of its names may be typed."""
    explained = "[" + re.sub(r"([\[\]:\\])", r"\\\1", option.help) + "]"
    value = ""
    if option.words is not None:
        value = f":value:({_joined(option.words)})" if option.words else ":value:_files"
    if len(option.names) == 1:
        return _zsh_quoted(option.names[0] + explained + value)
    excluded, names = _joined(option.names), ",".join(option.names)
    return f"{_zsh_quoted(f'({excluded})')}{{{names}}}{_zsh_quoted(explained + value)}"


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def fish(parser: argparse.ArgumentParser) -> str:
    """The script for fish: a line for each command and option."""
    lines = ["# Completion of pantoum for fish, made by `pantoum completion fish`."]
    for command in commands_of(parser):
        help = _fish_quoted(command.help)
        lines.append(f"complete -c pantoum -f -n __fish_use_subcommand -a {command.name} -d {help}")
        typed = f"complete -c pantoum -n '__fish_seen_subcommand_from {command.name}'"
        if command.words:
            lines.append(f"{typed} -f -a {_fish_quoted(_joined(command.words))}")
        for option in command.options:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            value = ""
            if option.words is not None:
                value = f" -x -a {_fish_quoted(_joined(option.words))}" if option.words else " -r"
            lines.append(f"{typed} {names}{value} -d {_fish_quoted(option.help)}")
    return "\n".join(lines) + "\n"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _all_names(command: Command) -> str:
    return _joined(tuple(name for option in command.options for name in option.names))


def _joined(words: tuple[str, ...]) -> str:
    return " ".join(words)


SHELLS: dict[str, Callable[[argparse.ArgumentParser], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""The script for each shell."""
