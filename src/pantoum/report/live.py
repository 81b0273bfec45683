"""The live view of a run in a terminal.

``LiveView`` is a context manager and an ``on_report``. Inside, it owns the screen: a thread redraws a few
times per second, so that the newest sample streams in, and each time looks at the terminal's size anew. What
others write to stderr meanwhile is kept, shown among the notes, and printed afterwards. When the view ends,
for whatever reason, the old screen returns with the last frame below it. Ctrl-Z gives the screen back too,
until the run continues.

The view needs a terminal on which it can draw (see ``possible``). It starts no process, reads no key and
catches no signal but Ctrl-Z.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from pantoum.config.plain import Plain
from pantoum.report.frame import Scene, frame
from pantoum.report.record import Report
from pantoum.report.run_history import RunHistory
from pantoum.report.terminal import watched

__all__ = ["LiveView", "possible", "restore_terminal"]

REFRESH = 8
"""Frames per second."""
SLOWEST, LONGEST = 45.0, 8.0
"""A sample streams in at this many characters per second, or faster where it would take longer than this."""
RESTRAINT = 50.0
"""A new record is drawn no sooner than this many times as long as drawing took, so that a long run's curve
takes at most 2 % of one core."""
LAST_FRAME = 36
ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l\x1b[2J", b"\x1b[?1049l\x1b[?25h\x1b[0m"

_owned: list[int] = []
"""The descriptor of the terminal whose screen is ours; at most one."""


def possible(console: Console) -> bool:
    """Whether a person looks at this console and braille can be drawn on it."""
    encoding = (console.encoding or "").lower().replace("-", "")
    return (
        console.is_terminal
        and watched(console.file)  # rich takes a file for a terminal, too, where FORCE_COLOR is set
        and not console.is_dumb_terminal
        and not console.legacy_windows
        and encoding.startswith("utf")
        and console.width >= 20
        and console.height >= 5
    )


def restore_terminal() -> None:
    """Give the screen and the cursor back at once; safe in a signal handler and before ``os._exit``."""
    for descriptor in _owned:
        with suppress(OSError):
            os.write(descriptor, LEAVE)


class _Kept(io.TextIOBase):
    """A stand-in for stderr that keeps what is written to it."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard, self._rest = heard, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._heard(line)
        return len(text)

    def end(self) -> None:
        """Hand on an unfinished last line."""
        if self._rest:
            self._heard(self._rest)


def _joined(lines: list[Text], end: str) -> Text:
    text = Text("\n").join(lines)
    text.no_wrap, text.overflow, text.end = True, "crop", end
    return text


class _Screen(Live):
    """A screen whose terminal may go away: that is no reason for a run to end."""

    def refresh(self) -> None:
        with suppress(OSError, ValueError):
            super().refresh()


class LiveView:
    """The view of one run: ``with LiveView("book") as view: train(..., on_report=view)``."""

    def __init__(
        self,
        name: str,
        *,
        about: str = "",
        unit: str = "token",
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # The console keeps the real stream: sys.stderr is ours while the view is open.
        self.console = console or Console(file=sys.stderr)
        self.name, self.about, self.unit, self.clock = name, about, unit, clock
        self.state: str | None = None
        self.history = RunHistory(())
        self._messages: tuple[str, ...] = ()
        self._sampled = float("-inf")
        self._drawn, self._due = self.history, float("-inf")
        self._live = _Screen(
            self,
            console=self.console,
            screen=True,
            refresh_per_second=REFRESH,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._leaving: list[Callable[[], object]] = []

    def __call__(self, report: Report | Mapping[str, Plain]) -> None:
        """Take in a record."""
        record = report.to_dict() if isinstance(report, Report) else report
        self.history = self.history.plus(record)
        if record.get("sample"):
            self._sampled = self.clock()

    def take(self, history: RunHistory) -> None:
        """Show this history from now on; a sample that was there already does not stream again."""
        new = len(history.samples) > len(self.history.samples) > 0
        self.history = history
        if new:
            self._sampled = self.clock()

    def scene(self, history: RunHistory, finished: bool = False) -> Scene:
        """What is to be seen now of this history."""
        samples = history.samples
        shown = None
        if samples and not finished:
            speed = max(SLOWEST, len(samples[-1].text) / LONGEST)
            shown = int(min((self.clock() - self._sampled) * speed, 1e6))
        return Scene(
            self.name,
            history,
            self.about,
            self.unit,
            shown,
            () if finished else self._messages,
            self.state,
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        began = self.clock()
        fresh = self._drawn is not self.history and began >= self._due
        if fresh:
            self._drawn = self.history
        lines = frame(self.scene(self._drawn), options.max_width, height)
        if fresh:
            self._due = began + RESTRAINT * (self.clock() - began)
        yield _joined(lines, end="")

    def __enter__(self) -> LiveView:
        try:
            self._keep_stderr()
            self._catch_suspension()
            self._live.start(refresh=True)
            self._own()
        except BaseException:  # Ctrl-C while the first frame is drawn
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError, ValueError):
            self._live.stop()
        _owned.clear()
        for leave in reversed(self._leaving):
            leave()
        self._leaving.clear()
        with suppress(OSError, ValueError):
            self.print_last()

    def print_last(self) -> None:
        """Print the run as it is now, to stay on the terminal."""
        if self.history.records:
            height = min(self.console.height - 1, LAST_FRAME)
            self.console.print(
                _joined(frame(self.scene(self.history, finished=True), self.console.width, height), end="\n")
            )
        for message in self._messages:
            self.console.print(Text(message), soft_wrap=True)

    def _keep_stderr(self) -> None:
        stream, kept = sys.stderr, _Kept(self._hear)

        def give_back() -> None:
            kept.end()
            sys.stderr = stream

        self._leaving.append(give_back)
        sys.stderr = kept

    def _hear(self, line: str) -> None:
        if line.strip():
            self._messages = (*self._messages, line)

    def _own(self) -> None:
        with suppress(OSError, ValueError):
            _owned[:] = [self.console.file.fileno()]

    def _catch_suspension(self) -> None:
        """Ctrl-Z: give the screen back, stop as asked, take the screen again when the run goes on."""
        ours = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGTSTP")
        if not ours or signal.getsignal(signal.SIGTSTP) is not signal.SIG_DFL:
            return

        def suspend(number: int, _: object) -> None:
            with self._live._lock:
                restore_terminal()
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
                signal.signal(number, suspend)
                for descriptor in _owned:
                    with suppress(OSError):
                        os.write(descriptor, ENTER)

        signal.signal(signal.SIGTSTP, suspend)
        self._leaving.append(lambda: signal.signal(signal.SIGTSTP, signal.SIG_DFL))
