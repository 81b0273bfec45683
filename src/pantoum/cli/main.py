"""The command ``pantoum``: parses the arguments, sets the threads, runs one command.

In order: options are parsed, without heavy imports; the threads of BLAS and of the core are set before NumPy
is imported; the command runs. Whatever ends it early is one line on stderr:

    0    success                       130  Ctrl-C
    1    an error that pantoum knows   141  the reader of stdout was closed (`| head`); no message
    2    wrong usage

``PANTOUM_DEBUG=1`` shows the traceback of an error. An unexpected error is reported as a bug of pantoum.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import traceback
from collections.abc import Sequence

from pantoum import __version__
from pantoum.cli import (
    compare,
    demo,
    doctor,
    evaluate,
    export,
    generate,
    info,
    prepare,
    score,
    serve,
    train,
    watch,
)
from pantoum.cli.interrupts import Interrupts
from pantoum.cli.options import Parser, flag
from pantoum.cli.output import Output, abandon_stdout
from pantoum.config.launcher import threads_of_a_rank
from pantoum.errors import PantoumError, RankError, SettingError

__all__ = ["COMMANDS", "main", "make_parser"]

COMMANDS = {
    module.__name__.rsplit(".", 1)[1]: module
    for module in (
        demo,
        train,
        generate,
        evaluate,
        score,
        serve,
        export,
        prepare,
        watch,
        compare,
        info,
        doctor,
    )
}
THREAD_VARIABLES = (
    "PANTOUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
MOST_THREADS = 1024
ABOUT = "Train a recurrent language model on your own text, on your own machine, in minutes; then use it."
START = """start with:
  pantoum demo                           train two minutes on the source of Python itself
  pantoum train book.txt --minutes 5     train a model of your text, in runs/book
  pantoum generate runs/book --prompt "Once upon"

`pantoum COMMAND --help` lists the options of a command.
"""


def make_parser() -> Parser:
    """The whole parser; ``docs/cli.md`` is made from it."""
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
    for name, module in COMMANDS.items():
        help = module.HELP
        command = commands.add_parser(
            name,
            help=help,
            description=help[0].upper() + help[1:] + ".",
            epilog=module.EXAMPLES,
            parents=[everywhere],
        )
        module.add_options(command)
    options = {name: command.option_names() for name, command in commands.choices.items()}
    parser.others = options
    for name, command in commands.choices.items():
        command.others = {other: known for other, known in options.items() if other != name}
    return parser


def _threads(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"is {text!r}: must be a whole number from 1 to {MOST_THREADS}")
    return number


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    started = time.monotonic()
    parser = make_parser()
    try:
        arguments = parser.parse_args(argv)
        if arguments.command is None:
            parser.print_help()
            return 0
    except SystemExit as end:
        return int(end.code or 0)
    arguments.started = started
    arguments.typed = ["pantoum", *(sys.argv[1:] if argv is None else argv)]
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
    """Run the command; whatever ends it early is one line on stderr."""
    name = f"pantoum {arguments.command}"
    try:
        with output.warnings_as_lines():
            code: int = COMMANDS[arguments.command].run(arguments, output) or 0
        output.flush()
        return code
    except KeyboardInterrupt:
        return _end(output, f"{name}: interrupted", 130)
    except BrokenPipeError:
        abandon_stdout()
        return 141
    except RankError as error:
        return 1 if error.told else _end(output, f"{name}: {error}", 1)
    except PantoumError as error:
        return _end(output, f"{name}: {_as_typed(error, arguments)}", 1)
    except OSError as error:
        abandon_stdout()
        place = f" {error.filename!r}" if error.filename is not None else ""
        return _end(
            output,
            f"{name}: the system reports an error{place}: {error.strerror or error}; "
            f"check the name, the permissions and the free space",
            1,
        )
    except MemoryError:
        return _end(
            output,
            f"{name}: not enough memory: the model, the batch or the text is too large for this "
            f"machine; make --hidden-size, --batch-size or --seq-len smaller",
            1,
        )
    except Exception as error:
        if interrupts.came:
            return _end(output, f"{name}: interrupted", 130)
        return _end(
            output,
            f"{name}: a bug in pantoum, please report it: {type(error).__name__}: {error}; "
            f"PANTOUM_DEBUG=1 shows where",
            1,
        )


def _end(output: Output, line: str, code: int) -> int:
    if os.environ.get("PANTOUM_DEBUG") == "1":
        traceback.print_exc()
    output.complain(line)
    return code


def _as_typed(error: PantoumError, arguments: argparse.Namespace) -> str:
    """The message of an error; a setting is named by its option."""
    if not (isinstance(error, SettingError) and hasattr(arguments, error.argument)):
        return str(error)
    setting = error.argument
    named = re.sub(rf"(?<![\w-]){re.escape(setting)}(?![\w-])", flag(setting), str(error))
    return named if setting != "model" else str(error)
