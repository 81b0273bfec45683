"""Where words go: answers to stdout, everything else to stderr, one line each.

A stream that does not know a character shows its number instead of failing. On a terminal, what a model wrote
cannot move the cursor or change colours. ``quiet`` silences what is neither an answer nor an error.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

__all__ = ["Output", "abandon_stdout", "is_terminal", "one_line"]


def one_line(text: str) -> str:
    """A message as one line, with what a terminal would obey shown instead."""
    return "".join(c if c.isprintable() else " " if c in "\r\n\t" else repr(c)[1:-1] for c in text.strip())


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at this stream."""
    return stream is not None and not stream.closed and stream.isatty()


class Output:
    """The two streams of a command."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def write(self, text: str) -> None:
        """A part of an answer, at once."""
        if sys.stdout is not None and text:
            sys.stdout.write(_encodable(text, sys.stdout))
            sys.stdout.flush()

    def flush(self) -> None:
        """Hand on what is buffered now, while a failure can still be told."""
        if sys.stdout is not None:
            sys.stdout.flush()

    def answer(self, text: str) -> None:
        """An answer and a new line."""
        self.write(text + "\n")

    def json(self, value: Any) -> None:
        """One JSON object; what is no finite number is ``null``."""
        self.answer(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False))

    def say(self, text: str) -> None:
        """A line on stderr for a person, unless quiet."""
        if not self.quiet:
            self.complain(text)

    def next(self, command: str) -> None:
        """The command to try next, alone on the last line so that it can be copied."""
        self.say("try next:")
        self.say(command)

    def complain(self, text: str) -> None:
        """A line on stderr in any case. A stderr that is gone is no reason to stop."""
        if sys.stderr is not None:
            with suppress(OSError, ValueError):
                sys.stderr.write(_encodable(one_line(text), sys.stderr) + "\n")
                sys.stderr.flush()

    @contextmanager
    def warnings_as_lines(self) -> Iterator[None]:
        """Warnings that a person's settings or text cause, each said once as a line on stderr."""
        told: set[str] = set()

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            line = one_line(str(message))
            if line not in told:
                told.add(line)
                self.say(f"pantoum: note: {line}")

        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = show
            yield


def _encodable(text: str, stream: TextIO) -> str:
    """The text with what the stream's encoding lacks (lone surrogates too) as ``\\uNNNN``."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def abandon_stdout() -> None:
    """Point stdout at nothing, so that what is still buffered cannot fail again when Python ends."""
    with suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
