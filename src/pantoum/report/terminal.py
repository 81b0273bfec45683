"""Progress on stderr in plain lines, where no live view is possible.

``line`` and ``figures`` are pure functions of a ``Report``; ``Progress`` shows what they say while a run
trains, and is itself an ``on_report``: a line every few seconds of the run, samples and notes between them.
In a notebook, which shows stderr in red as an error, it writes to stdout, each line over the one before.
``Counter`` shows what only counts
(bytes read, tokens scored), and is silent where nobody looks.

An error of the stream is never an error of the run: a closed terminal does not end a run.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import IO, TextIO

from pantoum.report.escape import visible
from pantoum.report.record import Report
from pantoum.report.wording import HELD_OUT, clock, count, figure, perplexity

LINE_SECONDS, SAMPLE_SECONDS, FIRST_SAMPLE = 5.0, 20.0, 8.0
"""Seconds of the run between lines, between samples, and before the first sample."""
SAMPLE_LINES = 8
WIDE = 130
"""Characters that no line of figures exceeds, so that one covers the one before."""


def watched(stream: IO[str] | None) -> bool:
    """Whether the stream is a terminal."""
    with suppress(ValueError):  # a closed stream
        return stream is not None and stream.isatty()
    return False


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    shell: object = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _where() -> TextIO:
    return sys.stdout if in_notebook() else sys.stderr


def line(report: Report, best: float | None = None, unit: str = "token") -> str:
    """A moment of a run as one line. ``unit``: what a token is; of words, people compare perplexities."""
    words = [f"{clock(report.seconds):>7}", f"step {report.step:,}"]
    words.append(f"{'sampled loss' if report.sampled else 'loss'} {figure(report.loss)}")
    if best is not None:
        held_out = best if report.valid is None else report.valid
        better = f", best {figure(best)}" if held_out > best else ""
        words.append(f"validation {figure(held_out)} ({HELD_OUT}{better})")
        words += [f"perplexity {perplexity(held_out)} with unknown words"] if unit == "word" else []
    words.append(f"{count(report.tokens_per_second)} tokens/s")
    words += [f"{clock(report.time_left)} left"] if report.time_left is not None else []
    return "  ".join(words)


class Progress:
    """Shows a run while it trains: give it to the loop as ``on_report``."""

    def __init__(self, stream: TextIO | None = None, unit: str = "", *, every: float = LINE_SECONDS) -> None:
        """``unit``: what a token of the run is, once that is known. ``every``: seconds of the run between two
        lines."""
        self.stream: TextIO | None = _where() if stream is None else stream
        self._in_place = stream is None and in_notebook()
        self._open = False
        """Whether the last line may be written over."""
        self.unit, self._every = unit, 0.0 if self._in_place else every
        self._best: float | None = None
        self._last: Report | None = None
        self._said, self._sampled = -every, FIRST_SAMPLE - SAMPLE_SECONDS

    def __call__(self, report: Report) -> None:
        """Show one record. A stream that fails gets no more."""
        lines = self.lines(report)
        if self.stream is None or not lines:
            return
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        text = ""
        for each in lines:
            text += "\n" * (self._open and each[0] != "\r")
            self._open = each[0] == "\r" and not report.ended
            text += each if self._open else f"{each}\n"
        try:
            self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self.stream.flush()
        except (OSError, ValueError):
            self.stream = None

    def lines(self, report: Report) -> list[str]:
        """What there is to be said with this record."""
        if report.valid is not None:
            self._best = report.valid if self._best is None else min(self._best, report.valid)
        if report.loss is None and self._last is not None:
            # A record that ends a session has no step of its own: it shows the figures of the one before.
            report = replace(report, loss=self._last.loss, tokens_per_second=self._last.tokens_per_second)
        self._last = report
        lines = [f"note: {visible(note)}" for note in report.notes]
        if report.ended or report.seconds - self._said >= self._every:
            self._said = report.seconds
            moment = line(report, self._best, self.unit)
            lines.append(f"\r{moment:<{WIDE}}" if self._in_place else moment)
        if report.sample and report.seconds - self._sampled >= SAMPLE_SECONDS:
            self._sampled = report.seconds
            lines.append(f"--- after {count(report.tokens)} tokens the model writes")
            written = [text for text in visible(report.sample).splitlines() if text.strip()]
            lines += [f"  | {text}" for text in written[:SAMPLE_LINES]]
        return lines


class Counter:
    """Progress of something that only counts: a share, rewritten in place on a terminal."""

    EVERY = 0.2

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self.what = what
        self.stream = _where() if stream is None else stream
        self._shown = 0.0
        self._wide = 0

    def __enter__(self) -> Counter:
        return self

    def __exit__(self, *problem: object) -> None:
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
