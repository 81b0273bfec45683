"""Output streams: answers go to stdout, everything else goes to stderr, one line each.

A character that the encoding of a stream lacks is written as its number. On a terminal, text written by a
model cannot move the cursor or change colours. ``quiet`` suppresses everything except answers and errors.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from pantoum.config.plain import quoted
from pantoum.errors import naming

WINDOWS = os.name == "nt"


def one_line(text: str) -> str:
    """A message as one line; control characters are shown, not obeyed."""
    return "".join(c if c.isprintable() else " " if c in "\r\n\t" else repr(c)[1:-1] for c in text.strip())


def is_terminal(stream: TextIO | None) -> bool:
    """Whether this stream is a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def json_text(value: object) -> str:
    """JSON in one line for stdout. On a terminal what it would obey (controls, marks of direction) has its
    number, which means the same."""
    import json

    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not is_terminal(sys.stdout):
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def runnable(command: str) -> str:
    """A command of pantoum as this shell can run it: by the path of the program where it is not on PATH, or
    only on that of this process, as under ``uvx``."""
    name, _, rest = command.partition(" ")
    started, there = Path(sys.argv[0]), shutil.which(name)
    lent = there is not None and Path(there).parent == Path(sys.executable).parent and _lent_path()
    if there is not None and not lent:
        return f"{name} {rest}"
    if started.name == name and started.is_file():
        name = quoted(str(started))
    elif started.parts[-2:] == (name, "__main__.py"):
        name = f"{quoted(sys.executable)} -m {name}"
    return f"{name} {rest}"


def _lent_path() -> bool:
    """Whether this is an environment that no shell has activated."""
    return sys.prefix != sys.base_prefix and "VIRTUAL_ENV" not in os.environ


class Output:
    """The two streams of a command."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper) and not stream.closed:
                stream.reconfigure(errors="backslashreplace", **_form(stream))

    @property
    def stdout(self) -> TextIO:
        """Where answers go. An ``OSError`` where it is closed (``>&-``): an answer would be lost."""
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed", "stdout")
        return sys.stdout

    @property
    def unicode(self) -> bool:
        """Whether stdout can show pictures made of characters."""
        return (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")

    def write(self, text: str) -> None:
        """Write a part of an answer immediately."""
        if text:
            with naming("stdout"):
                self.stdout.write(text)
                self.stdout.flush()

    def flush(self) -> None:
        """Flush stdout while a failure can still be reported."""
        if sys.stdout is not None:
            with naming("stdout"):
                sys.stdout.flush()

    def answer(self, text: str) -> None:
        """Write an answer and a newline."""
        self.write(text + "\n")

    def json(self, value: object) -> None:
        """Write one JSON object; a number that is not finite becomes ``null``."""
        self.answer(json_text(_finite(value)))

    def show(self, answer: Any, as_json: bool) -> None:
        """Write an answer as text, or its plain values as JSON."""
        if as_json:
            self.json(answer.to_dict())
        else:
            self.answer(str(answer))

    def say(self, text: str) -> None:
        """Write a line to stderr, unless quiet."""
        if not self.quiet:
            self.complain(text)

    def next(self, command: str, words: str = "try next:") -> None:
        """Write the command to try next, alone on the last line so that it can be copied."""
        self.say(words)
        self.say(runnable(command))

    def complain(self, text: str) -> None:
        """Write a line to stderr in any case. A closed stderr is not an error."""
        if sys.stderr is not None:
            with suppress(OSError, ValueError):
                sys.stderr.write(one_line(text) + "\n")
                sys.stderr.flush()

    @contextmanager
    def warnings_as_lines(self) -> Iterator[None]:
        """Write each warning about settings or texts once, as a line on stderr."""
        told: set[str] = set()

        def show(message: Warning | str, category: type[Warning], *rest: object, **more: object) -> None:
            line = one_line(str(message))
            if line not in told:
                told.add(line)
                self.say(f"pantoum: note: {line}")

        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = show
            yield


def _form(stream: TextIO) -> dict[str, Any]:
    """How a stream is set up: in a file or a pipe answers have the same bytes on all systems. Windows would
    write what a console of the last century reads, and two characters for the end of a line."""
    if not WINDOWS or stream.isatty() or "PYTHONIOENCODING" in os.environ:
        return {}
    return {"encoding": "utf-8", "newline": "\n"}


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def abandon_stdout() -> None:
    """Redirect stdout to the null device, so that flushing it at exit cannot fail again."""
    with suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
