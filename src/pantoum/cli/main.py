"""The command ``pantoum``: parses the arguments and runs one command; what ends it early becomes one line on
stderr and an exit code.

    0    success                       130  Ctrl-C
    1    an error that pantoum knows   129  SIGHUP, after saving (what has nothing to save ends by it)
    2    wrong usage                   143  SIGTERM, likewise
                                       141  the reader of stdout was closed (`| head`); no message

Until a command runs, little is imported: neither the settings nor the other commands. The threads of BLAS and
of the core are set before NumPy is imported. ``PANTOUM_DEBUG=1`` shows the traceback of an error. An
unexpected error is reported as a bug of pantoum.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from pantoum import __version__
from pantoum.cli import commands
from pantoum.cli.asked_to_stop import Interrupts
from pantoum.cli.commands import add_options, help_of, module_of, names
from pantoum.cli.commands import commands as described
from pantoum.cli.output import Output, abandon_stdout
from pantoum.cli.parser import Parser, with_files
from pantoum.config.launcher import threads_of_a_rank
from pantoum.config.processors import THREAD_VARIABLES
from pantoum.errors import PantoumError, RankError, SettingError

MOST_THREADS = 1024
ABOUT = "Train a recurrent language model on your own text, on your own machine, in minutes; then use it."
START = """start with:
  pantoum demo                           train two minutes on the source of Python itself
  pantoum train book.txt --minutes 5     train a model of your text, in runs/book
  pantoum generate runs/book --prompt "Once upon"

`pantoum COMMAND --help` lists the options of a command.
"""


def make_parser() -> Parser:
    """The whole parser; a command has its options when they are needed (``Parser.filled``)."""
    everywhere = Parser(add_help=False)
    everywhere.add_argument(
        "--quiet", action="store_true", default=argparse.SUPPRESS, help="print only the answer and errors"
    )
    everywhere.add_argument(
        "--threads",
        type=_threads,
        default=argparse.SUPPRESS,
        metavar="N",
        help="threads of all computation (default: one per core)",
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
    from pantoum.cli.main import run  # the help needs none of it

    ready()
    return run(arguments)


def run(arguments: argparse.Namespace) -> int:
    """Run the command that was typed; its exit code."""
    output = Output(quiet=getattr(arguments, "quiet", False))
    if hasattr(arguments, "threads"):
        _set_threads(arguments.threads, output)
    elif (shared := threads_of_a_rank()) is not None and "PANTOUM_THREADS" not in os.environ:
        _set_threads(shared, output)
    with Interrupts() as interrupts:
        return _run(arguments, output, interrupts)


def _set_threads(count: int, output: Output) -> None:
    for name in THREAD_VARIABLES:
        os.environ[name] = str(count)
    if "numpy" in sys.modules:
        output.say(f"pantoum: note: --threads {count} has no effect on NumPy, which was imported before")


def _run(arguments: argparse.Namespace, output: Output, interrupts: Interrupts) -> int:
    """The exit code of the command."""
    name = f"pantoum {arguments.command}"
    try:
        with output.warnings_as_lines():
            code = commands.run(arguments.command, arguments, output)
        output.flush()
        return code
    except KeyboardInterrupt as stop:
        number = getattr(stop, "number", None)  # of SIGTERM or SIGHUP (``asked_to_stop``)
        if number is not None:
            return _end(output, f"{name}: ended by {signal.Signals(number).name}", 128 + number)
        return _end(output, f"{name}: interrupted", 130)
    except Exception as error:
        if interrupts.came:  # whatever was made of it on the way
            return _end(output, f"{name}: interrupted", 130)
        return _told(error, name, arguments, output)


def _told(error: Exception, name: str, arguments: argparse.Namespace, output: Output) -> int:
    """Write an error as one line; its exit code."""
    if isinstance(error, BrokenPipeError):
        abandon_stdout()
        return 141
    if isinstance(error, RankError) and error.told:
        return 1
    if isinstance(error, PantoumError):
        return _end(output, f"{name}: {_as_typed(error, arguments)}", 1)
    if isinstance(error, OSError):
        abandon_stdout()
        place = f" of {error.filename!r}" if error.filename is not None else ""
        advice = "check the name, the permissions and the free space"
        if error.errno == errno.EBADF:
            advice = "give the answer a file, or /dev/null"
        line = f"{name}: the system reports an error{place}: {error.strerror or error}; {advice}"
        return _end(output, line, 1)
    if isinstance(error, MemoryError):
        return _end(
            output,
            f"{name}: not enough memory: the model, the batch or the text is too large for this "
            f"machine; make --hidden-size, --batch-size or --seq-len smaller",
            1,
        )
    return _end(
        output,
        f"{name}: a bug in pantoum, please report it: {type(error).__name__}: {error}; "
        f"PANTOUM_DEBUG=1 shows where",
        1,
    )


def _end(output: Output, line: str, code: int) -> int:
    if os.environ.get("PANTOUM_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    output.complain(line)
    return code


def _as_typed(error: PantoumError, arguments: argparse.Namespace) -> str:
    """The message of an error; its setting is named as it is typed, by its option or as the help names it."""
    if not isinstance(error, SettingError):
        return str(error)
    parser = Parser()
    commands.add_options(arguments.command, parser)
    named = [action for action in parser._actions if action.dest == error.argument]
    if not named:
        return str(error)
    typed = [*named[0].option_strings, str(named[0].metavar).rpartition("]")[2]]  # MODEL, not [NAME=]MODEL
    return str(error.of(typed[0], error.value))
