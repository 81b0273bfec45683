"""The command ``pantoum``: parses the arguments and runs one command (``cli.running``).

Until a command runs, little is imported: neither the settings nor the other commands.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from pantoum import __version__
from pantoum.cli.commands import add_options, help_of, module_of, names
from pantoum.cli.commands import commands as described
from pantoum.cli.parser import Parser, with_files

MOST_THREADS = 1024
ABOUT = "Train a recurrent language model on your own text, on your own machine, in minutes; then use it."
START = """start with:
  pantoum demo                           train for two minutes on the source of Python
  pantoum train book.txt --minutes 5     train a model of your text, in runs/book
  pantoum generate runs/book --prompt "Once upon"

`pantoum COMMAND --help` lists the options of a command.
"""


def make_parser() -> Parser:
    """The whole parser; a command has its options when they are needed (``Parser.filled``)."""
    everywhere = Parser(add_help=False)
    everywhere.add_argument(
        "--quiet", action="store_true", default=argparse.SUPPRESS, help="print only the result and errors"
    )
    everywhere.add_argument(
        "--threads",
        type=_threads,
        default=argparse.SUPPRESS,
        metavar="N",
        help="threads for all computation (default: one per core)",
    )
    everywhere.add_argument(
        "--version", action="version", version=f"pantoum {__version__}", help="print the version and exit"
    )
    parser = Parser(prog="pantoum", description=ABOUT, epilog=START, parents=[everywhere])
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=Parser)
    for name in names():
        command = commands.add_parser(name, help="", parents=[everywhere])
        command.fill = partial(_fill, name, command)
        command.others = partial(_options, commands.choices, but=name)
    parser.others = partial(_options, commands.choices)
    parser.describe = partial(_describe, commands)
    return parser


def _describe(commands: argparse._SubParsersAction[Parser]) -> None:
    """Say what each command does."""
    about = described()
    for action in commands._choices_actions:
        action.help = about.get(action.dest, "")
    commands._choices_actions = [each for each in commands._choices_actions if each.dest in about]


def _fill(name: str, command: Parser) -> None:
    """Add the options and the examples of a command."""
    about = help_of(name)
    command.description = about[0].upper() + about[1:] + "."
    command.epilog = module_of(name).EXAMPLES
    add_options(name, command)


def _options(commands: Mapping[str, Parser], but: str = "") -> dict[str, Collection[str]]:
    """The options of all commands ``but`` one."""
    return {name: command.option_names() for name, command in commands.items() if name != but}


def _threads(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"is {text!r}: it must be a whole number from 1 to {MOST_THREADS}")
    return number


def main(argv: Sequence[str] | None = None, ready: Callable[[], object] = int) -> int:
    """Run one command and return the exit code. ``ready`` is called before it begins."""
    started = time.monotonic()
    parser = make_parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may be typed next
        from pantoum.cli.completion import answer

        answer(parser)
    try:
        arguments = parser.parse_args(with_files(sys.argv[1:] if argv is None else argv))
        if arguments.command is None:
            parser.print_help()
            return 0
    except SystemExit as end:
        return int(end.code or 0)
    arguments.started = started
    arguments.typed = ["pantoum", *(sys.argv[1:] if argv is None else argv)]
    from pantoum.cli.running import run  # the help needs none of it

    ready()
    return run(arguments)
