"""Progress on stderr: one live line on a terminal, plain lines anywhere else.

``line`` and ``figures`` are pure functions of a ``Report``; ``Progress`` shows what they say while a run
trains, and is itself an ``on_report``. On a terminal the line stays in its place and samples and notes
scroll above it; in a file or a pipe there is a line every few seconds of the run. A notebook shows the live
line where it has ipywidgets, else the plain ones. ``Counter`` does the same
for what only counts (bytes read, tokens scored), and is silent where nobody looks.

An error of the stream is never an error of the run: a closed terminal does not end a run. Rich is imported
only where there is a terminal to draw on.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import IO, Any, TextIO

from pantoum.report.escape import visible
from pantoum.report.record import Report
from pantoum.report.wording import clock, count, figure, perplexity

__all__ = ["Counter", "Progress", "in_notebook", "line", "watched"]

PLAIN_SECONDS, SAMPLE_SECONDS = 5.0, 20.0
"""Seconds of the run between plain lines, and between samples."""
SAMPLE_LINES = 8


def watched(stream: IO[str] | None) -> bool:
    """Whether the stream is a terminal."""
    with suppress(ValueError):  # a closed stream
        return stream is not None and stream.isatty()
    return False


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    shell: object = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _told_on() -> TextIO:
    """Where progress is told: stderr; in a notebook, which shows that in red as an error, stdout."""
    return sys.stdout if in_notebook() else sys.stderr


def _has_widgets() -> bool:
    """Whether rich can draw in place in this notebook; without ipywidgets it can only print lines."""
    return in_notebook() and importlib.util.find_spec("ipywidgets") is not None


def figures(report: Report, best: float | None, unit: str = "token") -> list[str]:
    """The main figures of a moment, a few words each. ``unit``: what a token is; of words, people compare
    perplexities."""
    found = [f"{'sampled loss' if report.sampled else 'loss'} {figure(report.loss)}"]
    if best is not None:
        held_out = report.valid if report.valid is not None else best
        found.append(
            f"validation {figure(held_out)}" + (f" (best {figure(best)})" if held_out > best else "")
        )
        if unit == "word":
            found.append(f"perplexity {perplexity(held_out)}")
    found.append(f"{count(report.tokens_per_second)} tokens/s")
    if report.time_left is not None:
        found.append(f"{clock(report.time_left)} left")
    return found


def line(report: Report, best: float | None = None, unit: str = "token") -> str:
    """A moment of a run as one line."""
    return "  ".join([f"{clock(report.seconds):>7}", f"step {report.step:,}", *figures(report, best, unit)])


class Progress:
    """Shows a run while it trains. Use it as a context manager and give it to the loop as ``on_report``."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream: TextIO | None = _told_on() if stream is None else stream
        self.unit = ""
        """What a token of the run is, once that is known."""
        self._best: float | None = None
        self._last: Report | None = None
        self._said, self._sampled = -PLAIN_SECONDS, 0.0
        self._live: _LiveLine | None = None

    def __enter__(self) -> Progress:
        if self.stream is not None and (watched(self.stream) or _has_widgets()):
            self._live = _LiveLine(self.stream)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            with suppress(OSError, ValueError):
                self._live.stop()
            self._live = None

    def __call__(self, report: Report) -> None:
        """Show one record."""
        if report.valid is not None:
            self._best = report.valid if self._best is None else min(self._best, report.valid)
        self._last = _with_last_known(report, self._last)
        try:
            self._show(self._last)
        except (OSError, ValueError):
            self.stream = None
            self._live = None

    def _show(self, report: Report) -> None:
        if self.stream is None:
            return
        for note in report.notes:
            self._say(f"note: {visible(note)}")
        if self._live is not None:
            self._live.update(report, figures(report, self._best, self.unit))
        elif report.ended or report.seconds - self._said >= PLAIN_SECONDS:
            self._said = report.seconds
            self._say(line(report, self._best, self.unit))
        if report.sample and report.seconds - self._sampled >= SAMPLE_SECONDS:
            self._sampled = report.seconds
            self._say(_sample(report))

    def _say(self, text: str) -> None:
        if self._live is not None:
            self._live.say(text)
        elif self.stream is not None:
            self.stream.write(_encodable(text, self.stream) + "\n")
            self.stream.flush()


def _with_last_known(report: Report, before: Report | None) -> Report:
    """A record that ends a session has no step of its own: it shows the loss and the rate of the one
    before."""
    if before is None or report.loss is not None:
        return report
    return replace(report, loss=before.loss, tokens_per_second=before.tokens_per_second)


def _sample(report: Report) -> str:
    """The beginning of a sample, indented, below when it was written."""
    lines = visible(report.sample or "").splitlines()[:SAMPLE_LINES]
    return "\n".join(
        [f"--- after {count(report.tokens)} tokens it writes", *("  | " + text for text in lines)]
    )


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


class _LiveLine:
    """A bar and its figures at the bottom of a terminal."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._console = Console(file=stream, highlight=False)
        self._bar: Any = Progress(
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            transient=False,
            refresh_per_second=8,
        )
        self._task = self._bar.add_task("starting", total=1.0)
        self._bar.start()

    def update(self, report: Report, words: list[str]) -> None:
        self._bar.update(self._task, completed=report.progress, description="  ".join(words))

    def say(self, text: str) -> None:
        self._console.print(_encodable(text, self._console.file), markup=False, highlight=False)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._bar.stop()


class Counter:
    """Progress of something that only counts: a share, rewritten in place on a terminal."""

    EVERY = 0.2

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self.what = what
        self.stream = _told_on() if stream is None else stream
        self._shown = 0.0
        self._wide = 0

    def __enter__(self) -> Counter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wide:
            self._write("\r" + " " * self._wide + "\r")

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """Show the progress, a few times per second at most; of a total of 0 nothing is known."""
        now = time.monotonic()
        if not watched(self.stream) or now - self._shown < self.EVERY:
            return
        self._shown = now
        share = f" of {count(total)} ({100 * done // total} %)" if total else ""
        text = f"{self.what} {count(done)}{share}{words}"
        self._write("\r" + text.ljust(self._wide))
        self._wide = max(self._wide, len(text))

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self.stream.write(text)
            self.stream.flush()
