"""Runs one command: sets the threads, turns whatever ends it early into one line on stderr and an exit code.

The threads of BLAS and of the core are set before NumPy is imported.

    0    success                       130  Ctrl-C
    1    an error that pantoum knows   129  SIGHUP, after saving (what has nothing to save ends by it)
    2    wrong usage                   143  SIGTERM, likewise
                                       141  stdout was closed by its reader (`| head`); no message

``PANTOUM_DEBUG=1`` shows the traceback of an error. An unexpected error is reported as a bug of pantoum.

A command that has something to save is asked to stop (``Asked``); it is not torn from its work. Elsewhere
SIGTERM and SIGHUP end the process, and Ctrl-C is noted (``Interrupts``), whatever becomes of its
``KeyboardInterrupt``, which Python raises wherever the program stands. In the middle of an import other code
may turn it into another error (NumPy reports an ``ImportError``). Such an error is no bug: the command was
interrupted.
"""

from __future__ import annotations

import _thread
import argparse
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

from pantoum.cli import commands
from pantoum.cli.output import Output, abandon_stdout
from pantoum.cli.parser import Parser
from pantoum.config.launcher import threads_of_a_rank
from pantoum.config.processors import THREAD_VARIABLES
from pantoum.errors import PantoumError, RankError, SettingError


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
        number = getattr(stop, "number", None)  # of SIGTERM, SIGHUP or SIGBREAK
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
            advice = "redirect stdout to a file, or to /dev/null"
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


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP came."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Asked:
    """While inside, a signal to stop ends the command at once where it waits (``waited_for``), else at the
    next ``check``: what has been learned by then is whole. A second Ctrl-C does not wait; a signal that was
    ignored before, as under ``nohup``, still is."""

    def __init__(self, *, at_once: bool = False) -> None:
        """``at_once``: there is nothing to save, so a signal ends the command wherever it stands."""
        self._at_once = at_once
        self._number: int | None = None
        self._waits = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Asked:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
                number = getattr(signal, name, None)  # Windows has no SIGHUP, and alone has SIGBREAK
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *problem: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def waited_for(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The parts, each of which is waited for."""
        rest = iter(parts)
        while True:
            self._waits = True
            try:
                self.check()
                part = next(rest)
            except StopIteration:
                return
            finally:
                self._waits = False
            yield part

    def check(self) -> None:
        """Raise what came."""
        if self._number is not None:
            raise KeyboardInterrupt if self._number == signal.SIGINT else Stopped(self._number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self._number is None:
            self._number = number
            if self._waits or self._at_once:
                self.check()


class Interrupts:
    """While inside, ``came`` says whether Ctrl-C was typed. It still raises ``KeyboardInterrupt``, and once
    more where Python cannot pass that on, as from a finalizer or the callback of a weak reference."""

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None
        self._again: threading.Timer | None = None

    def __enter__(self) -> Interrupts:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note), sys.unraisablehook
            sys.unraisablehook = self._dropped
        return self

    def __exit__(self, *problem: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before[0])
            sys.unraisablehook = self._before[1]
        if self._again is not None:
            self._again.cancel()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt

    def _dropped(self, told: sys.UnraisableHookArgs) -> None:
        """Python would report what is raised here; a moment later the command stands elsewhere."""
        if isinstance(told.exc_value, KeyboardInterrupt):
            self._again = threading.Timer(0.01, _thread.interrupt_main)
            self._again.start()
        else:
            self._before[1](told)
